// Package entry defines the signed unit of every journal: a DSSE envelope whose
// payload is a header in canonical JSON and a body (vault/FORMAT.md §4.2). It
// knows how entries chain and what spelling they have, and nothing of what
// bodies mean; that is vault/state.
package entry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
)

const (
	// PayloadType is the DSSE payload type of an entry.
	PayloadType = "application/vnd.aivault.entry+json"
	// Format is the version of the entry format that this code writes, and the only one it reads.
	Format = 1
	// VaultJournal is the journal id of the vault's own journal; every other journal is named by its artefact's id.
	VaultJournal = "vault"
	// MaxSeq is the largest sequence number an entry may have: integers stay exact in every JSON reader.
	MaxSeq = 1<<53 - 1

	maxKind = 64
)

var (
	// ErrUnverifiable marks what no member can have written in its place: an object
	// that is damaged, missing, forged or out of order. A journal must not be read
	// past it.
	ErrUnverifiable = errors.New("does not verify")
	// ErrMalformed marks bytes that are no entry in its one spelling.
	ErrMalformed = errors.New("malformed entry")
	// ErrChain marks an entry that does not follow the one before it.
	ErrChain = errors.New("broken chain")
	// ErrUpgrade marks an entry that this client is too old to judge.
	ErrUpgrade = errors.New("made by a newer aivault: upgrade this client")
)

// Position is a place in a journal: a sequence number and the hash of the
// envelope that stands there.
type Position struct {
	Seq  uint64           `json:"seq"`
	Hash canonical.Digest `json:"hash"`
}

func (p Position) String() string { return fmt.Sprintf("%d:%s", p.Seq, p.Hash) }

// Header is what every entry says, whatever its kind.
type Header struct {
	Kind     string           `json:"kind"`
	Critical bool             `json:"critical"` // a client that does not know the kind must stop
	Format   int              `json:"format"`
	Genesis  canonical.Digest `json:"genesis"` // of the vault: the hash of entry 0 of its journal; zero in that entry
	Journal  string           `json:"journal"`
	Seq      uint64           `json:"seq"`
	Prev     canonical.Digest `json:"prev"`   // hash of the envelope before; zero at 0
	Vault    Position         `json:"vault"`  // the vault head the author had read; in the vault journal the entry before
	Author   canonical.Digest `json:"author"` // key id
	Time     Time             `json:"time"`   // never before the previous entry's
	Op       canonical.ID     `json:"op"`     // operation id: a retry carries the same
}

type payload struct {
	Header
	Body json.RawMessage `json:"body"`
}

// Entry is one decoded entry. It is immutable.
type Entry struct {
	Header
	Body     json.RawMessage
	Hash     canonical.Digest // SHA-256 of Raw
	Raw      []byte           // the envelope's canonical encoding
	Envelope *dsse.Envelope
}

// Position is where the entry stands.
func (e *Entry) Position() Position { return Position{Seq: e.Seq, Hash: e.Hash} }

// Sign makes an entry from h and a body. The first signer must be h's author.
func Sign(ctx context.Context, h Header, body any, signers ...dsse.Signer) (*Entry, error) {
	if len(signers) == 0 || signers[0].Public().KeyID() != h.Author.String() {
		return nil, fmt.Errorf("signing a %s entry: the first signer is not its author %s", h.Kind, h.Author)
	}
	b, err := canonical.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the body of a %s entry: %w", h.Kind, err)
	}
	p, err := canonical.Marshal(payload{Header: h, Body: b})
	if err != nil {
		return nil, fmt.Errorf("encoding a %s entry: %w", h.Kind, err)
	}
	env, err := dsse.Sign(ctx, PayloadType, p, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing a %s entry: %w", h.Kind, err)
	}
	raw, err := env.Marshal()
	if err != nil {
		return nil, err
	}
	if len(raw) > dsse.MaxEnvelope {
		return nil, fmt.Errorf("a %s entry of %d bytes: the limit is %d", h.Kind, len(raw), dsse.MaxEnvelope)
	}
	return Parse(raw)
}

// Parse decodes one envelope. It checks spelling and limits; signatures and
// chaining are the reader's to check. Errors wrap ErrMalformed or ErrUpgrade.
func Parse(raw []byte) (*Entry, error) {
	env, err := dsse.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if env.PayloadType != PayloadType {
		return nil, fmt.Errorf("%w: payload type %q", ErrMalformed, env.PayloadType)
	}
	var p payload
	if err := canonical.Unmarshal(env.Payload, &p); err != nil {
		var f struct {
			Format int `json:"format"`
		}
		if json.Unmarshal(env.Payload, &f) == nil && f.Format > Format {
			return nil, fmt.Errorf("%w (entry format %d)", ErrUpgrade, f.Format)
		}
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case p.Format > Format:
		return nil, fmt.Errorf("%w (entry format %d)", ErrUpgrade, p.Format)
	case p.Format != Format, !validKind(p.Kind), len(p.Body) == 0, p.Seq > MaxSeq, p.Vault.Seq > MaxSeq:
		return nil, fmt.Errorf("%w: kind %q, format %d, sequence %d citing %d", ErrMalformed, p.Kind, p.Format, p.Seq, p.Vault.Seq)
	}
	return &Entry{Header: p.Header, Body: p.Body, Hash: canonical.Sum(raw), Raw: raw, Envelope: env}, nil
}

// validKind keeps a kind, which reports print also where nobody knows it, to 1
// to maxKind of [a-z.-].
func validKind(kind string) bool {
	return len(kind) > 0 && len(kind) <= maxKind && strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz.-") == ""
}

// Follows reports whether e may stand right after prev in the journal named by
// genesis and id; prev is nil for the first entry. gap says that e passes over
// unverifiable slots (vault/FORMAT.md §4.5); only then may numbers be missing.
// Errors wrap ErrChain.
func (e *Entry) Follows(prev *Entry, genesis canonical.Digest, id string, gap bool) error {
	first := prev == nil
	switch {
	case e.Journal != id:
		return fmt.Errorf("%w: it belongs to journal %s", ErrChain, e.Journal)
	case first && id == VaultJournal:
		if e.Seq != 0 || !e.Genesis.IsZero() || !e.Prev.IsZero() || e.Vault != (Position{}) {
			return fmt.Errorf("%w: entry %d cannot be the first of a vault", ErrChain, e.Seq)
		}
		return nil
	case e.Genesis != genesis:
		return fmt.Errorf("%w: it belongs to the vault %s", ErrChain, e.Genesis)
	case first:
		if !e.Prev.IsZero() || !gap && e.Seq != 0 {
			return fmt.Errorf("%w: the first entry has number %d", ErrChain, e.Seq)
		}
		return nil
	case e.Prev != prev.Hash:
		return fmt.Errorf("%w: entry %d does not name the hash of entry %d", ErrChain, e.Seq, prev.Seq)
	case e.Seq != prev.Seq+1 && !(gap && e.Seq > prev.Seq):
		return fmt.Errorf("%w: entry %d after entry %d", ErrChain, e.Seq, prev.Seq)
	case e.Time.Before(prev.Time.Time):
		return fmt.Errorf("%w: entry %d is dated %s, before the one it follows (%s)", ErrChain, e.Seq, e.Time, prev.Time)
	case e.Journal == VaultJournal:
		if e.Vault != prev.Position() {
			return fmt.Errorf("%w: entry %d cites another vault head than the entry it follows", ErrChain, e.Seq)
		}
	case e.Vault.Seq < prev.Vault.Seq || e.Vault.Seq == prev.Vault.Seq && e.Vault.Hash != prev.Vault.Hash:
		return fmt.Errorf("%w: entry %d cites vault head %d after %d", ErrChain, e.Seq, e.Vault.Seq, prev.Vault.Seq)
	}
	return nil
}

// Time is a point in time in UTC with whole seconds, spelt as RFC 3339 with Z.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05Z"

// At converts t, cutting off what is below a second.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Second)} }

func (t Time) String() string               { return t.UTC().Format(timeLayout) }
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// UnmarshalText reads the one spelling.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(timeLayout, string(b))
	if err != nil || v.Format(timeLayout) != string(b) {
		return fmt.Errorf("%w: time %q", canonical.ErrNotCanonical, b)
	}
	t.Time = v.UTC()
	return nil
}

// UnmarshalJSON reads the one spelling.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	return t.UnmarshalText([]byte(s))
}
