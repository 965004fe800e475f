// Package local is a keeper in a directory on one host: an age hybrid identity
// per key, in a file that the stock age command takes (crypto/custody/FORMAT.md
// §5 has the bytes and the order of writes).
//
// Any number of processes of the host share the directory without locks: a hard
// link that must not exist decides who made a key, and a rename over the key
// file is the moment of its death. The directory belongs on a local file system
// with hard links; network file systems that retry a link or a rename can lie
// about who won.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// kind is this keeper's in profiles and in instance ids.
const kind = "local"

// instanceFile names the keeper. A directory without it is no keeper, so that
// the empty mount point of a lost disk is never taken for one without keys.
const instanceFile = "keeper"

// Keeper is a directory of keys; see [custody.Keeper]. It holds no file open
// between calls. Errors of a directory that is gone, unmounted or another one
// than was opened are custody.ErrUnavailable, never custody.ErrNotFound.
type Keeper struct {
	dir      string
	instance string
	now      func() time.Time
	open     func(dir string) (disk, error)
}

var _ custody.Keeper = (*Keeper)(nil)

// Init makes dir a keeper, with its parents where they are missing, and opens
// it. A directory that is one already is only opened. The clock dates
// destructions. custody.ErrUnfit: others than the owner may reach the directory.
func Init(dir string, now func() time.Time) (*Keeper, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("make key directory: %w", ioError(err))
	}
	return create(&Keeper{dir: dir, now: now, open: openDisk})
}

// Open opens a keeper that Init made. custody.ErrUnavailable: dir does not
// exist or is no keeper.
func Open(dir string, now func() time.Time) (*Keeper, error) {
	return open(&Keeper{dir: dir, now: now, open: openDisk})
}

func open(k *Keeper) (*Keeper, error) {
	abs, err := filepath.Abs(k.dir)
	if err != nil {
		return nil, fmt.Errorf("key directory %s: %w", k.dir, ioError(err))
	}
	k.dir = abs
	d, err := k.open(k.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open key directory: %w: %w", custody.ErrNoKeeper, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open key directory: %w", ioError(err))
	}
	defer d.close()
	if k.instance, err = readInstance(d); err != nil {
		return nil, fmt.Errorf("open key directory %s: %w", k.dir, err)
	}
	return k, nil
}

// create writes the instance file unless there is one.
func create(k *Keeper) (*Keeper, error) {
	d, err := k.open(k.dir)
	if err != nil {
		return nil, fmt.Errorf("make keeper: %w", ioError(err))
	}
	defer d.close()
	fail := func(err error) (*Keeper, error) {
		return nil, fmt.Errorf("make keeper in %s: %w", k.dir, ioError(err))
	}
	keys := false // asked first: a keeper is named before it has keys
	for name, err := range d.names() {
		if err != nil {
			return fail(err)
		}
		if _, keys = labelOf(name); keys {
			break
		}
	}
	if _, _, err := d.read(instanceFile); errors.Is(err, fs.ErrNotExist) {
		if keys {
			return nil, fmt.Errorf("make keeper in %s: it holds keys, but the file %s is lost: %w", k.dir, instanceFile, custody.ErrCorrupt)
		}
		temporary := instanceFile + "." + keyfile.RandomHex()
		if err := d.write(temporary, keyfile.EncodeInstance(keyfile.NewInstance(kind))); err != nil {
			return fail(err)
		}
		err := d.link(temporary, instanceFile)
		if errors.Is(err, fs.ErrExist) {
			err = nil // another process was first
		}
		if err = errors.Join(err, d.remove(temporary)); err != nil {
			return fail(err)
		}
	}
	if err := d.sync(); err != nil {
		return fail(err)
	}
	return open(k)
}

func readInstance(d disk) (string, error) {
	b, _, err := d.read(instanceFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("it has no file %s, so it is no keeper or not the disk that should be mounted there: %w", instanceFile, custody.ErrNoKeeper)
	}
	if err != nil {
		return "", fmt.Errorf("file %s: %w", instanceFile, ioError(err))
	}
	id, err := keyfile.ParseInstance(b, kind)
	if err != nil {
		return "", fmt.Errorf("file %s: %w: %w", instanceFile, custody.ErrCorrupt, err)
	}
	return id, nil
}

// session opens the directory and makes sure that it is still this keeper. Its
// answers are then about one directory, whatever is mounted meanwhile.
func (k *Keeper) session(ctx context.Context) (disk, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, err := k.open(k.dir)
	if err != nil {
		return nil, fmt.Errorf("key directory: %w", ioError(err))
	}
	id, err := readInstance(d)
	if err == nil && id != k.instance {
		err = fmt.Errorf("it was keeper %s and is %s now: %w", k.instance, id, custody.ErrUnavailable)
	}
	if err != nil {
		d.close()
		return nil, fmt.Errorf("key directory %s: %w", k.dir, err)
	}
	return d, nil
}

// Profile implements [custody.Keeper].
func (k *Keeper) Profile(ctx context.Context) (custody.Profile, error) {
	d, err := k.session(ctx)
	if err != nil {
		return custody.Profile{}, fmt.Errorf("profile: %w", err)
	}
	d.close()
	return custody.Profile{
		Instance: k.instance, Kind: kind,
		Algorithm: keyfile.Algorithm, Strength: keyfile.Strength, PostQuantum: true,
		KeyThroughHost: true, BackupRetention: "unknown",
		Notes: []string{
			"Copies of the key directory in backups and snapshots are unknown to this keeper and survive a destruction.",
			"Overwriting a key file erases nothing on flash storage or on a copy-on-write file system.",
			"Whoever can read the directory on its host has its keys.",
		},
	}, nil
}

// ioError gives an error of the file system its kind.
func ioError(err error) error {
	switch {
	case errors.Is(err, custody.ErrUnfit), errors.Is(err, custody.ErrCorrupt),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", custody.ErrDenied, err)
	default:
		return fmt.Errorf("%w: %w", custody.ErrUnavailable, err)
	}
}
