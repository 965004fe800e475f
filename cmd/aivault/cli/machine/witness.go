package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
)

const (
	// maxWitnessed bounds the file of what a witness remembers of one vault, in bytes.
	maxWitnessed = 64 << 20
	maxKeyFile   = 4 << 10
)

// Desk is where a witness keeps its key and what it has cosigned last of each
// vault. One process at a time sits at it.
type Desk struct{ dir string }

// Witness takes the desk, until Close. A process that is killed leaves it taken:
// the error says which file to remove then.
func (d *Dir) Witness() (*Desk, error) {
	k := &Desk{dir: filepath.Join(d.path, "witness")}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a place for the witness's key: %w", err)
	}
	f, err := os.OpenFile(k.lock(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("another process cosigns just now; if there is none, it was killed: remove %s", k.lock())
	}
	if err != nil {
		return nil, fmt.Errorf("taking the place of the witness: %w", err)
	}
	return k, f.Close()
}

func (k *Desk) lock() string { return filepath.Join(k.dir, "busy") }

// Close leaves the desk.
func (k *Desk) Close() error { return os.Remove(k.lock()) }

// Key returns the witness's key; made says that there was none, and that it was
// made with this name.
func (k *Desk) Key(name string) (key *checkpoint.Key, made bool, err error) {
	path := filepath.Join(k.dir, "key")
	b, err := readBounded(path, maxKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if key, err = checkpoint.NewKey(name); err != nil {
			return nil, false, err
		}
		if err := replace(path, []byte(key.Reveal()+"\n")); err != nil {
			return nil, false, fmt.Errorf("keeping the witness's key: %w", err)
		}
		return key, true, nil
	case err != nil:
		return nil, false, err
	}
	if key, err = checkpoint.ParseKey(strings.TrimSuffix(string(b), "\n")); err != nil {
		return nil, false, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return key, false, nil
}

// Seen returns what was cosigned last of a vault; nil: nothing.
func (k *Desk) Seen(genesis canonical.Digest) (*checkpoint.Witnessed, error) {
	b, err := readBounded(k.file(genesis), maxWitnessed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w, err := checkpoint.ParseWitnessed(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrDamaged, k.file(genesis), err)
	}
	return w, nil
}

// Remember stores what was cosigned last, instead of what was before.
func (k *Desk) Remember(genesis canonical.Digest, w *checkpoint.Witnessed) error {
	b, err := w.Marshal()
	if err == nil {
		err = replace(k.file(genesis), b)
	}
	if err != nil {
		return fmt.Errorf("remembering what was cosigned: %w", err)
	}
	return nil
}

func (k *Desk) file(genesis canonical.Digest) string {
	return filepath.Join(k.dir, genesis.String()+".json")
}
