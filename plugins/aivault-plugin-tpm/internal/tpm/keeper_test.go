//go:build linux

package tpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/integration/servers"
)

// bed is a TPM and a directory of keys.
type bed struct {
	*servers.TPM
	dir string
	env map[string]string
}

func newBed(t *testing.T) *bed {
	return &bed{servers.SWTPM(t), filepath.Join(t.TempDir(), "keys"), map[string]string{"INDEX": "a password of the index", "OWNER": ""}}
}

func (b *bed) open(ctx context.Context, create bool, more ...string) (*Keeper, error) {
	config := "dir=" + b.dir + "&device=" + b.Socket + "&auth-source=env:INDEX" + strings.Join(more, "")
	return Open(ctx, Options{Config: config, Create: create, Now: time.Now, Lookup: func(name string) (string, bool) { v, ok := b.env[name]; return v, ok }})
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestSWTPM(t *testing.T) {
	b := newBed(t)
	k := must(b.open(t.Context(), true))(t)
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		return k, func() (custody.Keeper, error) { return b.open(t.Context(), false) }
	})
}

// TestEnd: after a key is destroyed, no file that ever was opens with what the
// TPM holds; tools that are not ours see the index go, and another come.
func TestEnd(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	k := must(b.open(ctx, true))(t)
	files := map[string][]byte{}
	keep := func() {
		for _, p := range must(filepath.Glob(filepath.Join(b.dir, "keys-*")))(t) {
			files[filepath.Base(p)] = must(os.ReadFile(p))(t)
		}
	}
	dies, lives := must(k.Create(ctx, "dies"))(t), must(k.Create(ctx, "lives"))(t)
	keep()
	sealed := map[custody.KeyRef][]byte{}
	for _, ref := range []custody.KeyRef{dies, lives} {
		sealed[ref] = must(k.Wrap(ctx, ref, [32]byte{}, []byte("secret")))(t)
	}
	before := b.Indices(t)
	d := must(k.Destroy(ctx, dies))(t)
	after := b.Indices(t)
	if len(before) != 1 || len(after) != 1 || before[0] == after[0] || !strings.Contains(string(d.Evidence), "NV index "+before[0]) {
		t.Errorf("indices %v, then %v; evidence: %s", before, after, d.Evidence)
	}
	if plain, err := k.Unwrap(ctx, lives, [32]byte{}, sealed[lives]); err != nil || string(plain) != "secret" {
		t.Errorf("the other key: %q, %v", plain, err)
	}
	err := k.with(ctx, func(v *view) error {
		for name, text := range files {
			for generation := range v.anchor.generation + 1 {
				if _, err := openWith(v.anchor.key[:], domain(generation), text); err == nil {
					return fmt.Errorf("%s, of before, opens", name)
				}
			}
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		t.Errorf("%d files: %v", len(files), err)
	}
	// An older file put back is no way back either.
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(b.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Unwrap(ctx, dies, [32]byte{}, sealed[dies]); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("with the older files back: %v", err)
	}
	b.Stop()
	if _, err := k.Status(ctx, lives); !errors.Is(err, custody.ErrUnavailable) {
		t.Errorf("without its TPM: %v", err)
	}
	b.Start(t)
	if plain, err := k.Unwrap(ctx, lives, [32]byte{}, sealed[lives]); err != nil || string(plain) != "secret" {
		t.Errorf("after the TPM was started again: %q, %v", plain, err)
	}
}

// TestOwner: whoever has the password of the index uses and makes keys, and only
// whoever has the owner's authorisation destroys them. What they broke off is
// pending, and is finished.
func TestOwner(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	k := must(b.open(ctx, true))(t)
	ref := must(k.Create(ctx, "a"))(t)
	if out, err := b.Tool(t, "changeauth", "-c", "owner", "an owner"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := k.Destroy(ctx, ref); !errors.Is(err, custody.ErrDenied) {
		t.Errorf("destroyed by one who is not the owner: %v", err)
	}
	sealed := must(k.Wrap(ctx, ref, [32]byte{}, []byte("secret")))(t)
	b.env["OWNER"] = "an owner"
	owner := must(b.open(ctx, false, "&owner-auth-source=env:OWNER"))(t)
	if err := owner.with(ctx, func(v *view) error { return v.bury("a") }); err != nil {
		t.Fatal(err)
	}
	if s := must(k.Status(ctx, ref))(t); s.State != custody.Pending || len(b.Indices(t)) != 2 {
		t.Errorf("broken off: %+v, %v", s, b.Indices(t))
	}
	if _, err := k.Unwrap(ctx, ref, [32]byte{}, sealed); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap: %v", err)
	}
	first := must(owner.Destroy(ctx, ref))(t)
	again := must(owner.Destroy(ctx, ref))(t)
	if s := must(k.Status(ctx, ref))(t); s.State != custody.Destroyed || len(b.Indices(t)) != 1 || !bytes.Equal(first.Evidence, again.Evidence) {
		t.Errorf("finished: %+v, %v", s, b.Indices(t))
	}
	b.env["INDEX"] = "wrong"
	if _, err := k.Create(ctx, "b"); !errors.Is(err, custody.ErrDenied) {
		t.Errorf("with a wrong password: %v", err)
	}
}

// TestCrash: whatever is left after any write of a destruction, the next one
// goes on from there.
func TestCrash(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	k := must(b.open(ctx, true))(t)
	for i, crash := range []func(v *view, label string) error{
		func(v *view, label string) error { // a file that nothing vouches for
			v.anchor.key[0]++
			_, err := v.putTable()
			return err
		},
		func(v *view, label string) error { // an index that is not written
			_, err := v.chip.define(v.at.handle, v.slots)
			return err
		},
		func(v *view, label string) error { return v.bury(label) },
		func(v *view, label string) error { // the old index is overwritten and not undefined
			return errors.Join(v.bury(label), v.chip.write(v.stale[0], make([]byte, anchorSize)))
		},
	} {
		label := fmt.Sprintf("key-%d", i)
		ref := must(k.Create(ctx, label))(t)
		kept := must(k.Create(ctx, label+"-kept"))(t)
		sealed := must(k.Wrap(ctx, kept, [32]byte{}, []byte("secret")))(t)
		if err := k.with(ctx, func(v *view) error { return crash(v, label) }); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		must(k.Destroy(ctx, ref))(t)
		if plain, err := k.Unwrap(ctx, kept, [32]byte{}, sealed); err != nil || string(plain) != "secret" || len(b.Indices(t)) != 1 {
			t.Errorf("%d: another key: %q, %v; indices %v", i, plain, err, b.Indices(t))
		}
		if files := must(filepath.Glob(filepath.Join(b.dir, "keys-*")))(t); len(files) != 1 {
			t.Errorf("%d: files %v", i, files)
		}
	}
}

// TestTampered: a file that is missing, older or changed, and a TPM that was
// cleared, are damage, and no keeper is made in their place.
func TestTampered(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	k := must(b.open(ctx, true))(t)
	older := must(filepath.Glob(filepath.Join(b.dir, "keys-*")))(t)[0]
	old := must(os.ReadFile(older))(t)
	ref := must(k.Create(ctx, "a"))(t)
	present := must(filepath.Glob(filepath.Join(b.dir, "keys-*")))(t)[0]
	text := must(os.ReadFile(present))(t)
	changed := slices.Clone(text)
	changed[len(changed)/2] ^= 1
	for what, bytes := range map[string][]byte{"older": old, "changed": changed, "cut": text[:len(text)-1], "empty": {}} {
		if err := os.WriteFile(present, bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Status(ctx, ref); !errors.Is(err, custody.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(present, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := b.open(ctx, false); !errors.Is(err, custody.ErrUnfit) {
		t.Errorf("a directory for everybody: %v", err)
	}
	if err := os.Chmod(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := b.Tool(t, "clear", "-c", "p"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := k.Status(ctx, ref); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("cleared: %v", err)
	}
	if _, err := b.open(ctx, true); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("made in its place: %v", err)
	}
}

func TestNoKeeper(t *testing.T) {
	b := newBed(t)
	if _, err := b.open(t.Context(), false); !errors.Is(err, custody.ErrNoKeeper) {
		t.Errorf("no directory: %v", err)
	}
	must(b.open(t.Context(), true))(t)
	other := &bed{b.TPM, filepath.Join(t.TempDir(), "keys"), b.env}
	if _, err := other.open(t.Context(), true, "&index=0x01810010"); err != nil {
		t.Errorf("a second keeper in one TPM: %v", err)
	}
	if n := len(b.Indices(t)); n != 2 {
		t.Errorf("%d indices", n)
	}
}
