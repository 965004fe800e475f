package transfer_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io/fs"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/transfer"
)

func TestMain(m *testing.M) {
	// Every pull syncs files. The command line can ask for more.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// vault is a store, and keys that a vault would have.
type vault struct {
	t        testing.TB
	mem      *mem.Store
	store    backends.Store // mem, or something in front of it
	aid      canonical.Digest
	metadata *seal.Identity
	padded   bool
	jobs     int
}

func newVault(t testing.TB) *vault {
	m := mem.New(mem.Options{})
	return &vault{t: t, mem: m, store: m, aid: canonical.Sum([]byte("artefact")), metadata: identity(t)}
}

func identity(t testing.TB) *seal.Identity {
	t.Helper()
	id, err := seal.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// newPush returns a push of a new version, and the version's identity.
func (v *vault) newPush() (*transfer.Push, *seal.Identity) {
	id := identity(v.t)
	return &transfer.Push{
		Store: v.store, Artefact: v.aid, Version: canonical.NewID(), Recipient: id.Recipient(), Metadata: v.metadata.Recipient(),
		Secret: manifest.NewSecret(), Padded: v.padded, Jobs: v.jobs,
	}, id
}

// source is what an entry would say of a pushed version.
func (v *vault) source(p *transfer.Push, done *transfer.Pushed, id *seal.Identity) transfer.Source {
	return transfer.Source{
		Store: v.store, Artefact: v.aid, Version: p.Version, Manifest: done.Manifest, References: done.References, Digest: done.Digest,
		Identity: id, OpenMetadata: func(sealed []byte) ([]byte, error) { return seal.OpenShared(sealed, v.metadata) }, Jobs: v.jobs,
	}
}

func scan(t testing.TB, paths ...string) *transfer.Tree {
	t.Helper()
	tree, err := transfer.Scan(t.Context(), paths, transfer.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// chunks counts the chunks, parts and nodes that stand under a version.
func (v *vault) chunks(s transfer.Source) (n int) {
	for _, key := range v.mem.Keys() {
		if strings.HasPrefix(key, manifest.VersionPrefix(v.aid, s.Version)+"c/") {
			n++
		}
	}
	return n
}

// push pushes a directory as a new version.
func (v *vault) push(dir string, base *transfer.Base) (transfer.Source, *transfer.Pushed) {
	v.t.Helper()
	p, id := v.newPush()
	done, err := p.Run(v.t.Context(), scan(v.t, dir), base)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.source(p, done, id), done
}

func (v *vault) base(s transfer.Source) *transfer.Base {
	v.t.Helper()
	b, err := transfer.OpenBase(v.t.Context(), s)
	if err != nil {
		v.t.Fatal(err)
	}
	return b
}

func pull(ctx context.Context, s transfer.Source, dest string, o transfer.PullOptions) (*transfer.Pulled, error) {
	v, err := transfer.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	return v.Pull(ctx, dest, o)
}

func mustPull(t testing.TB, s transfer.Source, dest string, o transfer.PullOptions) *transfer.Pulled {
	t.Helper()
	done, err := pull(t.Context(), s, dest, o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// write makes a file, and the directories above it.
func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree makes a directory of files: path to content. A path that ends in a slash is
// an empty directory, one that starts with * an executable.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, content := range files {
		path, executable := strings.CutPrefix(path, "*")
		name := filepath.Join(dir, path)
		if strings.HasSuffix(path, "/") {
			if err := os.MkdirAll(name, 0o777); err != nil {
				t.Fatal(err)
			}
			continue
		}
		write(t, name, []byte(content))
		if executable {
			if err := os.Chmod(name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// contents describes a directory, line by line.
func contents(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, de fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		path, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		fi, err := de.Info()
		if err != nil {
			return err
		}
		if !fi.Mode().IsRegular() {
			out = append(out, fmt.Sprintf("%q %v", path, fi.Mode().Type()))
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		out = append(out, fmt.Sprintf("%q %v %d %s", path, fi.Mode()&0o111 != 0, len(b), canonical.Sum(b)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameContents(t testing.TB, got, want string) {
	t.Helper()
	g, w := contents(t, got), contents(t, want)
	if slices.Equal(g, w) {
		return
	}
	for i := range max(len(g), len(w)) {
		a, b := "nothing", "nothing"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Fatalf("%d entries, want %d; entry %d is %s, want %s", len(g), len(w), i, a, b)
		}
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// cheap returns n bytes that no chunker and no deduplication finds alike.
func cheap(seed uint64, n int) string {
	r := mrand.NewPCG(seed, uint64(n))
	b := make([]byte, 0, n+8)
	for len(b) < n {
		x := r.Uint64()
		b = append(b, byte(x), byte(x>>8), byte(x>>16), byte(x>>24), byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56))
	}
	return string(b[:n])
}
