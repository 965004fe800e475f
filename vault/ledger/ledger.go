// Package ledger joins journals with their meaning: it reads a journal, verifies
// and folds it, and appends entries that follow the fold. Everything above it
// speaks of states and entry bodies, everything below of slots and chains.
package ledger

import (
	"errors"
	"fmt"
	"slices"
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
	Store  backends.Store
	Cipher seal.Cipher
	Self   seal.Key // opens metadata identities, generations and groups
	Signer dsse.Signer
	Now    func() time.Time
	Stall  time.Duration // see journal.Journal
	Memory Memory        // nil: none
	Pins   []Pin         // heads that must be in the journals they name
	// Vouched are heads, by journal, that a witness has cosigned: like pins.
	Vouched map[string]entry.Position
	Cache   Cache // nil: none
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
	// Journals returns the ids of all journals remembered, in any order.
	Journals() []string
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

// Time is now, as entries spell it.
func (s *Session) Time() entry.Time { return entry.At(s.Now()) }

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
	if err := s.check(id, log); err != nil {
		return err
	}
	s.remember(id, log)
	return nil
}

func (s *Session) remember(id string, log *journal.Log) {
	if s.Memory != nil {
		s.Memory.Remember(id, log.Head())
	}
}

// check is recall without remembering.
func (s *Session) check(id string, log *journal.Log) error {
	if len(log.Entries) == 0 {
		return s.checkEmpty(id)
	}
	for _, p := range s.Pins {
		if p.Journal == id {
			if err := checkHead(id, log, p.Position, "is pinned"); err != nil {
				return err
			}
		}
	}
	if p, ok := s.Vouched[id]; ok {
		if err := checkHead(id, log, p, "a witness has cosigned"); err != nil {
			return err
		}
	}
	if s.Memory == nil {
		return nil
	}
	if p, ok := s.Memory.Head(id); ok {
		return checkHead(id, log, p, "this client remembers")
	}
	return nil
}

// checkHead refuses a log in which p does not stand. An object that does not verify
// in p's slot is damage, whether or not the reader knew of p (vault/FORMAT.md §4.4).
func checkHead(id string, log *journal.Log, p entry.Position, what string) error {
	e := log.At(p.Seq)
	spoilt := slices.IndexFunc(log.Junk, func(j journal.Junk) bool { return j.Seq == p.Seq })
	switch {
	case e == nil && p.Seq > log.Head().Seq && spoilt >= 0:
		return fmt.Errorf("%w: %s, entry %d of journal %s, which %s: %w", journal.ErrUnverifiable, log.Junk[spoilt].Key, p.Seq, id, what, log.Junk[spoilt].Why)
	case e == nil && p.Seq > log.Head().Seq:
		return fmt.Errorf("%w: journal %s ends at entry %d, before entry %d, which %s", journal.ErrRolledBack, id, log.Head().Seq, p.Seq, what)
	case e == nil:
		return fmt.Errorf("%w: journal %s passes over entry %d, which %s", journal.ErrRolledBack, id, p.Seq, what)
	case e.Hash != p.Hash:
		return fmt.Errorf("%w: entry %d of journal %s is another than the one which %s", journal.ErrRolledBack, p.Seq, id, what)
	}
	return nil
}

// checkEmpty refuses an empty journal that somebody has seen entries in.
func (s *Session) checkEmpty(id string) error {
	for _, p := range s.Pins {
		if p.Journal == id {
			return fmt.Errorf("%w: journal %s is empty, but entry %d is pinned", journal.ErrRolledBack, id, p.Seq)
		}
	}
	if p, ok := s.Vouched[id]; ok {
		return fmt.Errorf("%w: journal %s is empty, but a witness has cosigned entry %d", journal.ErrRolledBack, id, p.Seq)
	}
	if s.Memory != nil {
		if p, ok := s.Memory.Head(id); ok {
			return fmt.Errorf("%w: journal %s is empty, but this client remembers entry %d", journal.ErrRolledBack, id, p.Seq)
		}
	}
	return nil
}
