// Package machine is what one machine remembers between runs, in one directory
// of its user:
//
//	vaults/<id>.json                    where a vault is, its genesis, its keeper, its names
//	heads/<genesis>/<journal>/<seq>-<hash>   the newest head seen of a journal
//	cache/<genesis>/<id>                sealed objects, at most [CacheSize] a vault
//	witness/                            where a witness keeps its key, and what it has cosigned
//
// Records are replaced whole (written aside, synced, renamed). A head is an
// empty file whose name says everything: remembering one makes a file and then
// removes the lower ones, and reading takes the highest, so that processes need
// no lock, a crash in between loses nothing, and no writer can lower what
// another has seen. Two heads with one number are two histories: the memory of
// a fork.
//
// Nothing here but a witness's key is secret, and nothing is trusted beyond it:
// cached objects are verified like those from the store. What does not parse is
// [ErrDamaged], never taken for an empty memory.
package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
)

// ErrDamaged marks a file of the memory that is not as this package writes it.
// The error names the file.
var ErrDamaged = errors.New("this machine's memory is damaged")

// maxRecord bounds a record's file, in bytes.
const maxRecord = 64 << 10

// Dir is the memory in one directory. It is made when something is written.
// All methods are safe for concurrent use, by several processes too.
type Dir struct{ path string }

// New returns the memory in the directory path.
func New(path string) *Dir { return &Dir{path} }

// Path is the directory.
func (d *Dir) Path() string { return d.path }

// Vault is a vault this machine knows.
type Vault struct {
	Place   string           `json:"place"` // where it is, in the one spelling; says nothing of who comes
	URL     string           `json:"url"`   // how this machine gets there
	Genesis canonical.Digest `json:"genesis"`
	Custody string           `json:"custody"`         // where this machine reaches its keeper; may be empty
	Names   []string         `json:"names"`           // that people gave it here
	Plugin  Plugin           `json:"plugin,omitzero"` // that reaches its store; zero: none is needed
}

// Plugin is a plugin's binary as this machine pins it, for what lies in front of
// the journal that pins it for everybody.
type Plugin struct {
	SHA256 canonical.Digest `json:"sha256"`
	Env    []string         `json:"env,omitempty"` // names of the variables that it is given
}

// IsZero says that no binary is pinned.
func (p Plugin) IsZero() bool { return p.SHA256.IsZero() }

// Vault returns what is known of the vault at a place.
func (d *Dir) Vault(place string) (Vault, bool, error) {
	v, err := readVault(d.File(place))
	if errors.Is(err, fs.ErrNotExist) {
		return Vault{}, false, nil
	}
	if err == nil && v.Place != place {
		return Vault{}, false, fmt.Errorf("%w: %s is the record of another place", ErrDamaged, d.File(place))
	}
	return v, err == nil, err
}

// Named returns the vault that was given a name.
func (d *Dir) Named(name string) (Vault, bool, error) {
	all, err := d.Vaults()
	if err != nil {
		return Vault{}, false, err
	}
	for _, v := range all {
		if slices.Contains(v.Names, name) {
			return v, true, nil
		}
	}
	return Vault{}, false, nil
}

// Vaults returns all vaults this machine knows, by place.
func (d *Dir) Vaults() ([]Vault, error) {
	files, err := os.ReadDir(filepath.Join(d.path, "vaults"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading this machine's memory: %w", err)
	}
	var out []Vault
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".json" {
			continue // written aside
		}
		v, err := readVault(filepath.Join(d.path, "vaults", f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Vault) int { return strings.Compare(a.Place, b.Place) })
	return out, nil
}

// Remember stores v instead of what was known of its place. Of two that run at
// once the last one stands.
func (d *Dir) Remember(v Vault) error {
	if v.Names == nil {
		v.Names = []string{}
	}
	b, err := canonical.Marshal(v)
	if err != nil {
		return err
	}
	if err := replace(d.File(v.Place), append(b, '\n')); err != nil {
		return fmt.Errorf("remembering a vault: %w", err)
	}
	return nil
}

// File is where the record of a place is, or would be.
func (d *Dir) File(place string) string {
	return filepath.Join(d.path, "vaults", short(place)+".json")
}

func readVault(path string) (Vault, error) {
	b, err := readBounded(path, maxRecord)
	if err != nil {
		return Vault{}, err
	}
	var v Vault
	if n := len(b); n == 0 || b[n-1] != '\n' || canonical.Unmarshal(b[:n-1], &v) != nil {
		return Vault{}, fmt.Errorf("%w: %s is no record of a vault", ErrDamaged, path)
	}
	return v, nil
}

// short names a file after something longer.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
