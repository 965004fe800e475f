package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// VerifyOptions says what to verify, and how far.
type VerifyOptions struct {
	Ref *Ref // nil: the whole vault
	// Full reads, opens and hashes every byte of content. Otherwise content is
	// checked to be there, with the right size, as the signed manifest has it.
	Full bool
}

// Problem is something that does not verify.
type Problem struct {
	Object   string // key in the store
	Artefact string
	Version  string // "v7"
	File     string // path in the version
	Why      string
}

// VerifyReport is what Verify found. It is complete: verification does not stop
// at the first problem.
type VerifyReport struct {
	OK        bool
	Journals  int
	Versions  int
	Objects   int   // that were read
	Bytes     int64 // of content that was read
	Problems  []Problem
	Unknown   []string      // keys that belong to nothing
	Voids     []JournalVoid // verified entries that do not count
	Freshness string
}

// JournalVoid is a void entry and where it stands.
type JournalVoid struct {
	Artefact string // "": the vault's own journal; an id where it has no name
	state.Void
}

func (r *verification) voids(artefact string, all []state.Void) {
	for _, v := range all {
		r.Voids = append(r.Voids, JournalVoid{artefact, v})
	}
}

// verification is one run of Verify.
type verification struct {
	VerifyReport
	vault  *Vault
	known  map[string]bool
	unread bool // a journal could not be read to its end: what it binds is not known
}

func (r *verification) account(key string) { r.known[key] = true }

func (r *verification) problem(p Problem) { r.Problems = append(r.Problems, p) }

// Verify proves what is stored. Every object is read from the store itself,
// never from this machine's cache. Memory grows with the number of objects of
// the largest artefact, by some 300 bytes each.
//
// What does not verify is in the report. An error means that something could
// not be looked at: the store or the keeper is out of reach or denies it.
func Verify(ctx context.Context, c Config, o VerifyOptions) (*VerifyReport, error) {
	r := &verification{known: map[string]bool{}}
	v, err := open(ctx, uncached(c))
	if v == nil {
		if broken(err) {
			r.problem(Problem{Object: blocked(err), Why: err.Error()})
			return r.finish(), nil
		}
		return nil, err
	}
	if err != nil && !broken(err) {
		return nil, err
	}
	r.vault = v
	if err != nil {
		r.problem(Problem{Object: blocked(err), Why: err.Error()})
	}
	r.Freshness = v.freshness(entry.VaultJournal)
	if o.Ref != nil {
		err = r.one(ctx, *o.Ref, o.Full)
	} else {
		err = r.whole(ctx, o.Full)
	}
	if err != nil {
		return nil, err
	}
	return r.finish(), nil
}

// uncached returns c for a client that reads everything from the store but
// still knows the heads it remembers.
func uncached(c Config) Config {
	if remember := c.MemoryFor; remember != nil {
		c.MemoryFor = func(genesis canonical.Digest) (ledger.Memory, Cache) {
			m, _ := remember(genesis)
			return m, nil
		}
	}
	return c
}

func (r *verification) finish() *VerifyReport {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int { return strings.Compare(a.Object, b.Object) })
	r.OK = len(r.Problems) == 0
	return &r.VerifyReport
}

// blocked says where an error that keeps the vault's journal from being read lies.
func blocked(err error) string {
	if errors.Is(err, ErrNoAccess) || errors.Is(err, ledger.ErrMetadata) {
		return ledger.MetadataPrefix
	}
	return "log/"
}

// broken reports whether an error says that stored bytes do not verify.
func broken(err error) bool {
	for _, k := range []error{journal.ErrUnverifiable, journal.ErrJunk, journal.ErrRolledBack, state.ErrUnverifiable, entry.ErrMalformed, entry.ErrChain,
		ledger.ErrNoAccess, keyring.ErrIntegrity, ErrIntegrity, backends.Corrupt, seal.ErrFormat, seal.ErrCorrupt, seal.ErrNoMatch} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// whole verifies everything below the prefix.
func (r *verification) whole(ctx context.Context, full bool) error {
	v := r.vault
	r.account("probe/")
	for _, o := range v.State().Bound() {
		r.account(o.Key)
		if err := r.compare(ctx, o.Key, o.SHA256, Problem{Object: o.Key}); err != nil {
			return err
		}
	}
	for _, m := range v.State().Metadata {
		key := ledger.MetadataKey(m.MID)
		r.account(key)
		if err := r.compare(ctx, key, m.SHA256, Problem{Object: key}); err != nil {
			return err
		}
	}
	if log := v.ledger.Log(); log != nil {
		r.Journals++
		r.voids("", v.ledger.Voids())
		if err := r.verifySlots(ctx, v.ledger.Journal(ctx), log, ""); err != nil {
			return err
		}
	}
	if err := r.disposals(ctx); err != nil {
		return err
	}
	if err := r.checkpoints(ctx); err != nil {
		return err
	}
	ids, err := v.artefactIDs(ctx)
	if broken(err) {
		r.problem(Problem{Object: "a/", Why: err.Error()})
	} else if err != nil {
		return err
	}
	for _, id := range ids {
		if err := r.artefact(ctx, id, full); err != nil {
			return err
		}
	}
	return r.unknown(ctx)
}

// compare reads an object and compares it with a digest.
func (r *verification) compare(ctx context.Context, key string, want canonical.Digest, p Problem) error {
	b, err := ledger.ReadObject(ctx, r.vault.config.Store, key, 0)
	switch {
	case err == nil && canonical.Sum(b) == want:
		r.Objects++
		return nil
	case err == nil:
		p.Why = "its bytes are not those that a signed entry binds"
	case errors.Is(err, backends.NotExist):
		p.Why = "it is missing"
	case errors.Is(err, backends.Corrupt):
		p.Why = err.Error()
	default:
		return err
	}
	r.problem(p)
	return nil
}

// artefact verifies the journal, the keys and the versions of one artefact.
func (r *verification) artefact(ctx context.Context, id canonical.Digest, full bool) error {
	v := r.vault
	prefix := ledger.ArtefactPrefix(id)
	keys := map[string]int64{}
	var names []string
	for info, err := range v.config.Store.List(ctx, prefix, backends.ListOptions{}) {
		if err != nil {
			return fmt.Errorf("listing artefact %s: %w", id, err)
		}
		keys[info.Key] = info.Size
		names = append(names, info.Key)
	}
	l := v.ledger.Artefact(id)
	a, err := l.Fold(ctx)
	if errors.Is(err, journal.ErrEmpty) && !broken(err) {
		r.unclaimed(names)
		return nil
	}
	if err != nil {
		if !broken(err) {
			return err
		}
		r.unread = true
		r.problem(Problem{Object: prefix + "log/", Artefact: id.String(), Why: err.Error()})
		for _, k := range names {
			r.account(k)
		}
		if log := l.Log(); log != nil {
			return r.verifySlots(ctx, l.Journal(ctx), log, id.String())
		}
		return nil
	}
	r.Journals++
	r.voids(cmp.Or(a.Name, id.String()), a.Voids)
	if err := r.verifySlots(ctx, l.Journal(ctx), l.Log(), a.Name); err != nil {
		return err
	}
	if a.Name == "" {
		r.unclaimed(names)
		return nil
	}
	keepers, err := v.connect(ctx)
	if err != nil {
		return fmt.Errorf("verifying the keys of %s: %w", a.Name, err)
	}
	ring := v.ring(l, v.config.Store, keepers)
	if err := ring.Verify(ctx, names, r.account, func(f keyring.Finding) {
		r.problem(Problem{Object: f.Key, Artefact: a.Name, Why: f.Err.Error()})
	}); err != nil {
		return fmt.Errorf("verifying the keys of %s: %w", a.Name, err)
	}
	for _, cv := range a.Versions {
		if err := r.version(ctx, ring, a, cv, full); err != nil {
			return err
		}
	}
	if err := r.evidence(ctx, a); err != nil {
		return err
	}
	r.unclaimed(names)
	return nil
}

// unclaimed names the keys that nothing accounted for, but for what an
// unfinished push may have left.
func (r *verification) unclaimed(names []string) {
	for _, k := range names {
		if !r.known[k] {
			r.Unknown = append(r.Unknown, k)
		}
		delete(r.known, k)
	}
}

// unknown names what stands outside of every artefact.
func (r *verification) unknown(ctx context.Context) error {
	for info, err := range r.vault.config.Store.List(ctx, "", backends.ListOptions{OneLevel: true}) {
		if err != nil {
			return fmt.Errorf("listing the vault: %w", err)
		}
		switch info.Key {
		case "a/", "probe/", proposalPrefix:
			continue
		case "log/", "meta/", "doc/", "grp/", disposal.CertificatePrefix, notePrefix:
			for below, err := range r.vault.config.Store.List(ctx, info.Key, backends.ListOptions{}) {
				if err != nil {
					return fmt.Errorf("listing %s: %w", info.Key, err)
				}
				// What an entry that cannot be read may bind does not belong to nothing.
				if bindable := info.Key == "doc/" || info.Key == disposal.CertificatePrefix; !r.known[below.Key] && !(r.unread && bindable) {
					r.Unknown = append(r.Unknown, below.Key)
				}
			}
		default:
			r.Unknown = append(r.Unknown, info.Key)
		}
	}
	for info, err := range r.vault.config.Store.List(ctx, "a/", backends.ListOptions{OneLevel: true}) {
		if err != nil {
			return fmt.Errorf("listing artefacts: %w", err)
		}
		if _, err := canonical.ParseDigest(strings.TrimSuffix(strings.TrimPrefix(info.Key, "a/"), "/")); err != nil {
			r.Unknown = append(r.Unknown, info.Key)
		}
	}
	return nil
}

// one verifies what a reference needs: its journal, its key, its objects.
func (r *verification) one(ctx context.Context, ref Ref, full bool) error {
	v := r.vault
	l, a, cv, err := v.resolve(ctx, ref)
	if err != nil {
		if broken(err) {
			r.problem(Problem{Object: "log/", Artefact: ref.Artefact, Why: err.Error()})
			return nil
		}
		return err
	}
	r.Journals, r.Freshness = 2, v.freshness(a.ID.String())
	r.voids(a.Name, a.Voids)
	if err := r.verifySlots(ctx, l.Journal(ctx), l.Log(), a.Name); err != nil {
		return err
	}
	if cv.State != state.Live && cv.State != state.Executed {
		return checkUsable(a.Name, cv)
	}
	keepers, err := v.connect(ctx)
	if err != nil {
		return err
	}
	members, err := v.members(ctx, l, a, cv)
	if broken(err) {
		r.problem(Problem{Object: "log/", Artefact: a.Name, Version: cv.Name(), Why: err.Error()})
		members = []member{{ledger: l, artefact: a, version: cv}}
	} else if err != nil {
		return err
	}
	r.Journals += len(members) - 1
	for _, m := range members {
		if err := r.version(ctx, v.ring(m.ledger, v.config.Store, keepers), m.artefact, m.version, full); err != nil {
			return err
		}
	}
	return nil
}

// unreadable reports whether an error only says that this member may not read,
// or that the version is gone.
func unreadable(err error) bool {
	return errors.Is(err, keyring.ErrNoReader) || errors.Is(err, custody.ErrDestroyed)
}
