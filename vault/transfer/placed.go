package transfer

import (
	"context"
	"fmt"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
)

// Placed is a version and where in a directory its files stand. Of several, the
// first is that of the directory itself, and the others follow sorted by At; no
// two share a file or a directory.
type Placed struct {
	Version *Version
	At      string                      // the directory below the destination, one name; "": the destination itself
	Expect  map[string]canonical.Digest // files, by their path in the version, that must be there with this SHA-256
}

// path is where a path of the version stands.
func (pl *Placed) path(p string) string {
	if pl.At == "" {
		return p
	}
	return pl.At + "/" + p
}

// wanted narrows the parts of the manifest to those that may list what globs
// select, where the version stands.
func (pl *Placed) wanted(include globs) func(first, last string) bool {
	return func(first, last string) bool {
		if len(include) == 0 {
			return true
		}
		if pl.At != "" && last == "" {
			return include.mayMatch(pl.path(first), pl.At+"0") // '0' follows '/'
		}
		if pl.At != "" {
			last = pl.path(last)
		}
		return include.mayMatch(pl.path(first), last)
	}
}

// place gives the entries of a part the paths that they have in the destination.
func (l *loaded) place(pl *Placed) {
	l.in = pl
	for i := range l.part.Entries {
		l.part.Entries[i].Path = pl.path(l.part.Entries[i].Path)
	}
}

// expected holds a version to what must be in it, and to what must not: a
// directory is of one version alone.
type expected struct {
	placed *Placed
	others map[string]bool // where the other versions stand
	seen   int
}

// expect returns what is expected of one of several versions.
func expect(all []Placed, i int) *expected {
	x := &expected{placed: &all[i], others: make(map[string]bool)}
	for k := range all {
		if k != i && all[i].At == "" {
			x.others[all[k].At] = true
		}
	}
	return x
}

// part looks for what is expected in a part that is not placed yet.
func (x *expected) part(l *loaded) error {
	for i := range l.part.Entries {
		e := &l.part.Entries[i]
		if top, _, _ := strings.Cut(e.Path, "/"); len(x.others) > 0 && x.others[top] {
			return damaged(l.ref.Key(x.placed.Version.Artefact), fmt.Errorf("%q is where another version of the same tree stands", e.Path))
		}
		want, ok := x.placed.Expect[e.Path]
		if !ok || e.At > 0 {
			continue
		}
		if x.seen++; e.SHA256 != want {
			return damaged(l.ref.Key(x.placed.Version.Artefact), fmt.Errorf("%q is not what the version's entry says: its SHA-256 is %s, not %s", e.Path, e.SHA256, want))
		}
	}
	return nil
}

func (x *expected) done() error {
	if v := x.placed.Version; x.seen != len(x.placed.Expect) {
		return damaged(v.Manifest.Key, fmt.Errorf("it lacks a file that the version's entry asks for"))
	}
	return nil
}

// Pull is the pull of one version: see [Pull].
func (v *Version) Pull(ctx context.Context, dest string, o PullOptions) (*Pulled, error) {
	return Pull(ctx, dest, []Placed{{Version: v}}, o)
}

// Deployed compares a directory with one version: see [CompareDeployed].
func (v *Version) Deployed(ctx context.Context, dir string, o DeployedOptions) (*Deployed, error) {
	return CompareDeployed(ctx, dir, []Placed{{Version: v}}, o)
}
