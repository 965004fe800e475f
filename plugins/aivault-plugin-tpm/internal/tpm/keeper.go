//go:build linux

package tpm

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
)

// Options says which keeper to open.
type Options struct {
	Config string // see parseConfig
	Create bool   // make it if it is not there, which takes the owner's authorisation
	Lookup func(name string) (string, bool)
	Now    func() time.Time
}

// Keeper keeps keys with a TPM. It holds no connection and no key between calls.
type Keeper struct {
	config config
	lookup func(string) (string, bool)
	now    func() time.Time
	turn   chan struct{} // holds one token: one call at a time
	about  string
	id     string
}

// lockPause is how long a call waits before it tries the lock again that another
// process has.
const lockPause = 5 * time.Millisecond

// Open opens a keeper. Errors: custody.ErrInvalid for the configuration;
// ErrNoKeeper; ErrUnavailable; ErrDenied for a wrong password; ErrUnfit; ErrCorrupt.
func Open(ctx context.Context, o Options) (*Keeper, error) {
	c, err := parseConfig(o.Config)
	if err != nil {
		return nil, err
	}
	k := &Keeper{config: c, lookup: o.Lookup, now: o.Now, turn: make(chan struct{}, 1)}
	k.turn <- struct{}{}
	if o.Create {
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			return nil, fmt.Errorf("the directory of keys: %w: %w", custody.ErrUnavailable, err)
		}
	}
	info, err := os.Stat(c.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the directory of keys: %w: %w", custody.ErrNoKeeper, err)
	case err != nil:
		return nil, fmt.Errorf("the directory of keys: %w: %w", custody.ErrUnavailable, err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("the directory %s may be entered by others than its owner: %w", c.dir, custody.ErrUnfit)
	}
	err = k.with(ctx, func(v *view) error {
		var err error
		if v.table == nil {
			if err = v.initialise(o.Create); err != nil {
				return err
			}
		}
		k.id = v.table.Instance
		k.about, err = v.chip.about()
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// view is the keeper's state during one call, which no other process changes
// meanwhile.
type view struct {
	*Keeper
	chip   *chip
	slots  []slot
	at     slot   // where the anchor is
	anchor anchor // the present one
	table  *table // nil: there is none
	stale  []slot // what a destruction or an initialisation left unfinished
	older  bool   // a stale one still has an older key-encryption key
}

// with gives do the state, alone on this machine.
func (k *Keeper) with(ctx context.Context, do func(*view) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-k.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { k.turn <- struct{}{} }()
	unlock, err := k.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	password, err := k.config.auth.Read(k.lookup)
	if err != nil {
		return fmt.Errorf("the password of the TPM's index: %w", err)
	}
	c, err := openChip(k.config.device)
	if err != nil {
		return err
	}
	c.first, c.auth, c.owner = k.config.index, authOf(password), k.owner
	defer func() { err = errors.Join(err, c.close()) }()
	v := &view{Keeper: k, chip: c}
	defer v.forget()
	if err := v.load(); err != nil {
		return err
	}
	return do(v)
}

// owner returns the owner's authorisation.
func (k *Keeper) owner() ([]byte, error) {
	if k.config.owner.File == "" && k.config.owner.Variable == "" {
		return nil, nil
	}
	text, err := k.config.owner.Read(k.lookup)
	if err != nil {
		return nil, fmt.Errorf("the TPM owner's authorisation: %w", err)
	}
	return []byte(text), nil
}

// lock takes the lock of the directory, which processes of this machine share.
func (k *Keeper) lock(ctx context.Context) (func(), error) {
	f, err := os.OpenFile(filepath.Join(k.config.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the directory of keys: %w: %w", custody.ErrUnavailable, err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking the directory of keys: %w: %w", custody.ErrUnavailable, err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		}
	}
}

// load finds the present anchor, and the table that it vouches for.
func (v *view) load() error {
	var err error
	if v.slots, err = v.chip.slots(); err != nil {
		return err
	}
	found := false
	for _, s := range v.slots {
		if !s.written {
			v.stale = append(v.stale, s)
			continue
		}
		b, err := v.chip.read(s)
		if err != nil {
			return err
		}
		a, ok := decodeAnchor(b)
		clear(b)
		switch {
		case !ok:
			v.stale = append(v.stale, s)
		case !found:
			v.at, v.anchor, found = s, a, true
		case a.generation > v.anchor.generation:
			v.stale, v.older = append(v.stale, v.at), true
			v.at, v.anchor = s, a
		default:
			v.stale, v.older = append(v.stale, s), true
		}
	}
	if !found {
		return nil
	}
	f, err := os.Open(filepath.Join(v.config.dir, fileOf(v.anchor.table)))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the file of keys that the TPM vouches for is missing: %w", custody.ErrCorrupt)
	}
	if err != nil {
		return fmt.Errorf("the file of keys: %w: %w", custody.ErrUnavailable, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 2*maxTable))
	if err != nil {
		return fmt.Errorf("the file of keys: %w: %w", custody.ErrUnavailable, err)
	}
	v.table, err = openTable(b, &v.anchor)
	return err
}

// forget overwrites what is secret.
func (v *view) forget() {
	clear(v.anchor.key[:])
	if v.table != nil {
		v.table.clear()
	}
}

// initialise makes a new keeper where there is none and none was.
func (v *view) initialise(create bool) error {
	if left, err := filepath.Glob(filepath.Join(v.config.dir, "keys-*")); err != nil || len(left) > 0 {
		return fmt.Errorf("the TPM holds nothing to the keys in %s: it was cleared, or is another one: %w", v.config.dir, custody.ErrCorrupt)
	}
	if !create {
		return fmt.Errorf("the TPM has no NV index of this keeper: %w", custody.ErrNoKeeper)
	}
	v.table = &table{Format: tableFormat, Instance: "tpm-" + canonical.NewID().String(), Keys: []tableKey{}, Dead: []tableDead{}}
	v.anchor.generation = 1
	rand.Read(v.anchor.key[:])
	file, err := v.putTable()
	if err != nil {
		return err
	}
	for _, s := range v.stale {
		if err := v.chip.undefine(s); err != nil {
			return errors.Join(err, os.Remove(file))
		}
	}
	if v.at, err = v.chip.define(v.chip.handleBefore(), nil); err == nil {
		err = v.chip.write(v.at, v.anchor.encode())
	}
	if err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

// putTable seals the table with the anchor's key, stores it, durably, under the
// name of its digest, and notes that in the anchor.
func (v *view) putTable() (path string, err error) {
	b, err := sealTable(v.table, v.anchor.key, v.anchor.generation)
	if err != nil {
		return "", err
	}
	v.anchor.table = sha256.Sum256(b)
	path = filepath.Join(v.config.dir, fileOf(v.anchor.table))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(b)
		err = errors.Join(err, f.Sync(), f.Close(), syncDir(v.config.dir))
	}
	if err != nil {
		return "", fmt.Errorf("storing the file of keys: %w: %w", custody.ErrUnavailable, err)
	}
	return path, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// commit makes the table, as it was changed, the present one: in the same index.
func (v *view) commit() error {
	path, err := v.putTable()
	if err != nil {
		return err
	}
	if err := v.chip.write(v.at, v.anchor.encode()); err != nil {
		return err // whether it was written is not known: the next call sees
	}
	v.sweep(path)
	return nil
}

// sweep removes files of keys that no anchor vouches for. None opens, or they
// hold nothing that the present one does not: what is left is not harmful.
func (v *view) sweep(present string) {
	paths, err := filepath.Glob(filepath.Join(v.config.dir, "keys-*"))
	for _, p := range paths {
		if err == nil && p != present {
			err = os.Remove(p)
		}
	}
}

// Profile describes the keeper.
func (k *Keeper) Profile(ctx context.Context) (custody.Profile, error) {
	return custody.Profile{
		Instance: k.id, Kind: "tpm", Algorithm: "AES-256-GCM", Strength: 256, PostQuantum: true, KeyThroughHost: true,
		BackupRetention: "none of what opens the keys, outside the TPM; a virtual TPM is copied with its host's backups and snapshots",
		Notes: []string{
			"Keys lie in a file whose key-encryption key is in a TPM 2.0 and is replaced by every destruction, so that no copy of the file opens again; the TPM calls itself " + k.about + ".",
			"Whether the TPM is hardware cannot be seen from here: the state of a virtual one may be in backups and snapshots of its host, which bring a destroyed key back.",
			"The keys are those of one machine, and are lost with its TPM or when that is cleared.",
		},
	}, ctx.Err()
}
