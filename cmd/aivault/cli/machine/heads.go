package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

// Heads remembers, for one vault, the newest head seen of each journal. It is a
// ledger.Memory.
type Heads struct {
	dir  string
	warn func(error)
	fail func(error)
	once sync.Once
}

// Heads returns the memory of the heads of a vault's journals. warn is called
// once if it cannot be written. fail is called, from any goroutine, if it is
// damaged, unreadable or remembers a fork: then Head returns one that no journal
// can have, so that nobody goes on, and the caller reports that error instead.
func (d *Dir) Heads(genesis canonical.Digest, warn, fail func(error)) *Heads {
	return &Heads{dir: filepath.Join(d.path, "heads", genesis.String()), warn: warn, fail: fail}
}

// Head returns the newest head remembered of a journal.
func (h *Heads) Head(id string) (entry.Position, bool) {
	all, err := h.read(id)
	if err == nil {
		var p entry.Position
		if p, err = newest(id, all); err == nil {
			return p, len(all) > 0
		}
	}
	h.fail(err)
	return entry.Position{Seq: entry.MaxSeq}, true
}

// Journals returns the ids of the journals remembered.
func (h *Heads) Journals() []string {
	entries, err := os.ReadDir(h.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.fail(err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}

// Remember notes a head, unless a newer one is known.
func (h *Heads) Remember(id string, p entry.Position) {
	all, err := h.read(id)
	if err == nil {
		if _, err = newest(id, append(all, p)); err == nil {
			err = h.note(id, all, p)
			if err != nil {
				h.once.Do(func() { h.warn(fmt.Errorf("this machine cannot remember what it has seen: %w", err)) })
			}
			return
		}
	}
	h.fail(err)
}

// note adds p to the heads known and removes the lower ones.
func (h *Heads) note(id string, known []entry.Position, p entry.Position) error {
	for _, k := range known {
		if k.Seq >= p.Seq {
			return nil
		}
	}
	dir := filepath.Join(h.dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, fileName(p)), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), syncDir(dir)); err != nil {
		return err
	}
	for _, k := range known {
		if err := os.Remove(filepath.Join(dir, fileName(k))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (h *Heads) read(id string) ([]entry.Position, error) {
	if id == "" || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, fmt.Errorf("journal id %q cannot be remembered", id)
	}
	dir := filepath.Join(h.dir, id)
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading this machine's memory: %w", err)
	}
	var out []entry.Position
	for _, f := range files {
		p, ok := parseFileName(f.Name())
		if !ok {
			return nil, fmt.Errorf("%w: %s is the name of no head", ErrDamaged, filepath.Join(dir, f.Name()))
		}
		out = append(out, p)
	}
	return out, nil
}

// newest returns the highest of the heads; two different ones with one number
// are a fork.
func newest(id string, all []entry.Position) (best entry.Position, err error) {
	for i, p := range all {
		switch {
		case i == 0 || p.Seq > best.Seq:
			best = p
		case p.Seq == best.Seq && p.Hash != best.Hash:
			err = fmt.Errorf("%w: this machine has seen two entries %d of journal %s", journal.ErrRolledBack, p.Seq, id)
		}
	}
	return best, err
}

func fileName(p entry.Position) string { return fmt.Sprintf("%016x-%s", p.Seq, p.Hash) }

func parseFileName(name string) (entry.Position, bool) {
	number, hash, _ := strings.Cut(name, "-")
	seq, err := strconv.ParseUint(number, 16, 64)
	if err != nil || seq > entry.MaxSeq {
		return entry.Position{}, false
	}
	digest, err := canonical.ParseDigest(hash)
	p := entry.Position{Seq: seq, Hash: digest}
	return p, err == nil && fileName(p) == name
}
