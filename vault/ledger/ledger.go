// Package ledger joins journals with their meaning: it reads a journal, verifies
// and folds it, and appends entries that follow the fold. Everything above it
// speaks of states and entry bodies, everything below of slots and chains.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// ErrNoAccess is returned to a member that no metadata identity is sealed to.
var ErrNoAccess = errors.New("no metadata identity of this vault opens for this member")

// Session is who reads and writes, where, and with what.
type Session struct {
	Store   backends.Store
	Cipher  seal.Cipher
	Self    seal.Key // opens metadata identities, generations and groups
	Signer  dsse.Signer
	Now     func() time.Time
	Stall   time.Duration // see journal.Journal
	Memory  Memory        // nil: none
	Pins    []Pin         // heads that must be in the journals they name
	Cache   Cache         // nil: none
	Deviate state.Deviation
}

// Cache keeps sealed objects, which never change, on this machine. What comes
// from it is verified like what comes from the store. Implementations are safe
// for concurrent use, and may forget.
type Cache interface {
	Get(key string) ([]byte, bool)
	Put(key string, sealed []byte)
}

// Memory remembers the heads a client has seen, so that a store cannot take
// back what it has shown. Implementations are safe for concurrent use.
type Memory interface {
	Head(journal string) (entry.Position, bool)
	Remember(journal string, head entry.Position)
}

// Pin is a head that somebody vouches for.
type Pin struct {
	Journal string
	entry.Position
}

// String gives the form in which people pass a head around.
func (p Pin) String() string { return fmt.Sprintf("%s/%d/%s", p.Journal, p.Seq, p.Hash) }

// Author returns the key id that entries of this session bear.
func (s *Session) Author() canonical.Digest {
	id, err := canonical.ParseDigest(s.Signer.Public().KeyID())
	if err != nil {
		panic("internal error: key id is no digest")
	}
	return id
}

// time returns the time to put on an entry that follows one of time prev.
func (s *Session) time(prev entry.Time) entry.Time {
	now := entry.At(s.Now())
	if now.Before(prev.Time) {
		return prev
	}
	return now
}

// recall refuses a log that lacks a head this client remembers or was given,
// and remembers the new one.
func (s *Session) recall(id string, log *journal.Log) error {
	check := func(p entry.Position, what string) error {
		e := log.At(p.Seq)
		if e == nil {
			return fmt.Errorf("%w: journal %s ends at entry %d, before entry %d, which %s", journal.ErrRolledBack, id, log.Head().Seq, p.Seq, what)
		}
		if e.Hash != p.Hash {
			return fmt.Errorf("%w: entry %d of journal %s is another than %s", journal.ErrRolledBack, p.Seq, id, what)
		}
		return nil
	}
	for _, p := range s.Pins {
		if p.Journal == id {
			if err := check(p.Position, "is pinned"); err != nil {
				return err
			}
		}
	}
	if s.Memory == nil {
		return nil
	}
	if p, ok := s.Memory.Head(id); ok {
		if err := check(p, "this client remembers"); err != nil {
			return err
		}
	}
	s.Memory.Remember(id, log.Head())
	return nil
}

// checkEmpty refuses an empty journal that somebody has seen entries in.
func (s *Session) checkEmpty(id string) error {
	for _, p := range s.Pins {
		if p.Journal == id {
			return fmt.Errorf("%w: journal %s is empty, but entry %d is pinned", journal.ErrRolledBack, id, p.Seq)
		}
	}
	if s.Memory != nil {
		if p, ok := s.Memory.Head(id); ok {
			return fmt.Errorf("%w: journal %s is empty, but this client remembers entry %d", journal.ErrRolledBack, id, p.Seq)
		}
	}
	return nil
}

// folder is the part of a fold that reading and appending need.
type folder interface {
	head() *entry.Entry // nil: nothing folded yet
	apply(*entry.Entry) error
	verify(*entry.Entry) error // signatures alone
}

// advance folds the entries of log that f has not seen. An entry that cannot be
// verified is reported with its object; what stands before it is folded.
func advance(ctx context.Context, j *journal.Journal, log *journal.Log, f folder) error {
	for _, e := range log.Entries {
		if h := f.head(); h != nil && e.Seq <= h.Seq {
			continue
		}
		if err := checkSkipped(ctx, j, f, e); err != nil {
			return err
		}
		if err := f.apply(e); err != nil {
			return fmt.Errorf("%s%s: %w", j.Prefix, journal.Slot(e.Seq), err)
		}
	}
	return nil
}

// checkSkipped sees to it that a skip entry passes over junk only: an entry
// that verifies and follows the last good one must not be skipped.
func checkSkipped(ctx context.Context, j *journal.Journal, f folder, e *entry.Entry) error {
	skipped, err := e.Skipped()
	if err != nil {
		return fmt.Errorf("%w: %w", journal.ErrUnverifiable, err)
	}
	for _, slot := range skipped {
		there, _, err := j.Object(ctx, slot.Seq)
		if err != nil {
			if journal.IsJunk(err) {
				continue
			}
			return err
		}
		passed := there[len(there)-1]
		if h := f.head(); (h == nil || passed.Prev == h.Hash) && f.verify(passed) == nil {
			return fmt.Errorf("%w: entry %d skips entry %d, which verifies", journal.ErrUnverifiable, e.Seq, slot.Seq)
		}
	}
	return nil
}
