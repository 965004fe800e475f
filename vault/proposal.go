package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

const (
	proposalPrefix = "prop/"
	proposalHead   = "aivault-proposal/1\n"
	// maxProposals bounds the objects of one slot that a client looks at, and
	// maxProposal each of them in bytes as stored.
	maxProposals = 64
	maxProposal  = 64 << 10
)

// Proposal is an entry of the vault's journal that admins have yet to sign.
type Proposal struct {
	ID     string // of what is proposed: the SHA-256 of the payload
	Kind   string
	What   string // one line
	By     string
	Time   time.Time
	Signed []string // by whom
	Lacks  int      // how many must still sign

	entry *entry.Entry
}

// propose signs an entry and leaves it where other admins find it.
func (v *Vault) propose(ctx context.Context, kind string, body any, op canonical.ID) (*Proposal, error) {
	e, err := v.ledger.Propose(ctx, kind, body, op)
	if err != nil {
		return nil, err
	}
	return v.storeProposal(ctx, e)
}

func (v *Vault) storeProposal(ctx context.Context, e *entry.Entry) (*Proposal, error) {
	sealed, err := v.ledger.SealMetadata(append([]byte(proposalHead), e.Raw...))
	if err != nil {
		return nil, err
	}
	if _, err := v.put(ctx, proposalPrefix+journal.Slot(e.Seq)+"-"+canonical.NewID().String(), sealed); err != nil {
		return nil, err
	}
	return v.describeProposal(e)
}

func (v *Vault) describeProposal(e *entry.Entry) (*Proposal, error) {
	lacks, err := v.ledger.Missing(e)
	if err != nil {
		return nil, err
	}
	signed, err := v.State().SignersOf(e)
	if err != nil {
		return nil, err
	}
	slices.Sort(signed)
	return &Proposal{ID: canonical.Sum(e.Envelope.Payload).String(), Kind: e.Kind, What: describeVault(e), By: v.author(e), Time: e.Time.Time,
		Signed: signed, Lacks: lacks, entry: e}, nil
}

// Proposals returns what waits for signatures: what may become the next entry of
// the vault's journal. What was proposed before the journal went on has come to
// nothing and is not among it.
func (v *Vault) Proposals(ctx context.Context) ([]*Proposal, string, error) {
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, "", err
	}
	out, err := v.proposals(ctx)
	return out, v.freshness(entry.VaultJournal), err
}

func (v *Vault) proposals(ctx context.Context) ([]*Proposal, error) {
	found := map[string]*entry.Entry{}
	prefix := proposalPrefix + journal.Slot(v.State().Head.Seq+1) + "-"
	for info, err := range v.config.Store.List(ctx, prefix, backends.ListOptions{Limit: maxProposals}) {
		if err != nil {
			return nil, fmt.Errorf("listing proposals: %w", err)
		}
		e, err := v.readProposal(ctx, info.Key)
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		id := canonical.Sum(e.Envelope.Payload).String()
		if found[id] != nil {
			if e, err = mergeSignatures(found[id], e); err != nil {
				return nil, err
			}
		}
		found[id] = e
	}
	var out []*Proposal
	for _, e := range found {
		p, err := v.describeProposal(e)
		if err != nil {
			continue // signed by who may not, or it would not count
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *Proposal) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// readProposal returns the entry in a proposal's object, nil if what stands
// there is none: anybody with bucket credentials can put anything.
func (v *Vault) readProposal(ctx context.Context, key string) (*entry.Entry, error) {
	sealed, err := ledger.ReadObject(ctx, v.config.Store, key, maxProposal)
	if errors.Is(err, backends.NotExist) || errors.Is(err, backends.Corrupt) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := v.ledger.OpenMetadata(ctx, sealed)
	if err != nil {
		return nil, nil
	}
	raw, ok := bytes.CutPrefix(plain, []byte(proposalHead))
	if !ok {
		return nil, nil
	}
	e, err := entry.Parse(raw)
	if err != nil {
		return nil, nil
	}
	if _, err := v.ledger.Missing(e); err != nil {
		return nil, nil
	}
	return e, nil
}

// mergeSignatures returns an entry with the signatures of two, which are of one payload.
func mergeSignatures(a, b *entry.Entry) (*entry.Entry, error) {
	env := &dsse.Envelope{Payload: a.Envelope.Payload, PayloadType: a.Envelope.PayloadType, Signatures: slices.Clone(a.Envelope.Signatures)}
	for _, s := range b.Envelope.Signatures {
		if !slices.ContainsFunc(env.Signatures, func(have dsse.Signature) bool { return have.KeyID == s.KeyID }) {
			env.Signatures = append(env.Signatures, s)
		}
	}
	slices.SortFunc(env.Signatures, func(a, b dsse.Signature) int { return strings.Compare(a.KeyID, b.KeyID) })
	raw, err := env.Marshal()
	if err != nil {
		return nil, err
	}
	return entry.Parse(raw)
}

// Approve signs the proposal whose id is, or begins with, id, and writes the
// entry once as many admins have signed as policy asks. An approved removal, or
// rekeying, is carried on with as far as this member may; the Settlement is nil
// for everything else.
//
// Errors: ErrNotFound; ErrNotPermitted for who is no admin.
func (v *Vault) Approve(ctx context.Context, id string) (*Change, *Settlement, error) {
	all, freshness, err := v.Proposals(ctx)
	if err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(all, func(p *Proposal) bool { return !strings.HasPrefix(p.ID, id) })
	if len(all) != 1 {
		return nil, nil, fmt.Errorf("%d proposals for the next entry have an id that begins with %q: %w", len(all), id, ErrNotFound)
	}
	e := all[0].entry
	if err := v.checkProposed(ctx, e); err != nil {
		return nil, nil, err
	}
	c := &Change{Freshness: freshness, Proposal: all[0]}
	if !slices.Contains(all[0].Signed, v.Self().Name) {
		if e, err = v.ledger.Cosign(ctx, e); err != nil {
			return nil, nil, err
		}
		c.Changed = true
	}
	lacks, err := v.ledger.Missing(e)
	switch {
	case err != nil:
		return nil, nil, err
	case lacks > 0 && c.Changed:
		c.Proposal, err = v.storeProposal(ctx, e)
	case lacks == 0:
		if err = v.ledger.AppendSigned(ctx, e); errors.Is(err, errLost) {
			return nil, nil, fmt.Errorf("the vault's journal has gone on; propose it again: %w", ErrConflict)
		}
		c.Proposal, c.Changed = nil, true
	}
	if err != nil {
		return nil, nil, err
	}
	c.Head = v.Head()
	if c.Proposal != nil || !slices.Contains([]string{state.KindMemberRemove, state.KindMemberRekey, state.KindMemberSuspend, state.KindGroup}, e.Kind) {
		return c, nil, nil
	}
	s, err := v.settle(ctx, e.Kind != state.KindMemberSuspend)
	return c, s, err
}

// checkProposed sees to it that the metadata identity that a proposal binds
// serves: whoever signs one that does not open shuts everybody out.
func (v *Vault) checkProposed(ctx context.Context, e *entry.Entry) error {
	var b struct {
		Metadata state.Metadata `json:"metadata"`
	}
	switch e.Kind {
	case state.KindMemberAdd, state.KindMemberRemove, state.KindMemberRekey:
		if err := json.Unmarshal(e.Body, &b); err != nil {
			return err
		}
		return v.ledger.CheckMetadata(ctx, b.Metadata)
	}
	return nil
}
