package handover

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"go.uber.org/goleak"

	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func identity(t testing.TB) *seal.Identity {
	t.Helper()
	id, err := seal.GenerateIdentity()
	must(t, err)
	return id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pushed stores files as a version, and opens it. One that ends in a slash is an
// empty directory, one that begins with * may be executed.
func pushed(t testing.TB, files map[string]string) (*mem.Store, *transfer.Version) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name, executable := strings.CutPrefix(name, "*")
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
		if executable {
			must(t, os.Chmod(path, 0o755))
		}
	}
	store, id, metadata := mem.New(mem.Options{}), identity(t), identity(t)
	tree, err := transfer.Scan(t.Context(), []string{dir}, transfer.ScanOptions{})
	must(t, err)
	p := transfer.Push{Store: store, Artefact: canonical.Sum([]byte("artefact")), Version: canonical.NewID(), Recipient: id.Recipient(),
		Metadata: metadata.Recipient(), Secret: manifest.NewSecret()}
	done, err := p.Run(t.Context(), tree, nil)
	must(t, err)
	v, err := transfer.Open(t.Context(), transfer.Source{Store: store, Artefact: p.Artefact, Version: p.Version, Manifest: done.Manifest,
		References: done.References, Digest: done.Digest, Identity: id,
		OpenMetadata: func(sealed []byte) ([]byte, error) { return seal.OpenShared(sealed, metadata) }})
	must(t, err)
	return store, v
}

func description(v *transfer.Version) Description {
	at := entry.At(time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC))
	return Description{Vault: canonical.Sum([]byte("genesis")), Artefact: "team/fraud-detector", Version: 7, Digest: v.Digest, Kind: "model", Classification: "internal",
		Labels: map[string]string{"product": "scoring"}, Sources: []state.Source{}, Pushed: at, PushedBy: "ada", Entry: entry.Position{Seq: 9}, Time: at, By: "cust", Owner: "Nova Models Ltd"}
}

// handOver seals the version, and opens it with the age library.
func handOver(t testing.TB, v *transfer.Version) []byte {
	t.Helper()
	owner := identity(t)
	c, err := Survey(t.Context(), v)
	must(t, err)
	var sealed bytes.Buffer
	must(t, c.Write(t.Context(), &sealed, owner.Recipient(), description(v), nil))
	id, err := age.ParseHybridIdentity(owner.Reveal())
	must(t, err)
	r, err := age.Decrypt(&sealed, id)
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	return b
}

// read is what a new owner has after tar -x.
func read(t testing.TB, b []byte) (document []byte, files map[string]string) {
	t.Helper()
	files = map[string]string{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return document, files
		}
		must(t, err)
		body, err := io.ReadAll(r)
		must(t, err)
		name, ok := strings.CutPrefix(h.Name, filesDir)
		switch {
		case h.Name == "transfer.json":
			document = body
		case !ok:
			t.Errorf("the tar holds %q", h.Name)
		case h.Mode&0o111 != 0 && h.Typeflag == tar.TypeReg:
			files["*"+name] = string(body)
		case name != "":
			files[name] = string(body)
		}
		if uid := h.Uid + h.Gid; uid != 0 || !h.ModTime.Equal(time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC)) {
			t.Errorf("%q tells of this machine: %+v", h.Name, h)
		}
	}
}

func TestWrite(t *testing.T) {
	want := map[string]string{
		"a": "", "config.json": `{"a":1}`, "*run.sh": "#!/bin/sh\n", "none/": "", "z/none/": "", "transfer.json": "mine", "files/x": "1",
		"\xff\xfe": "not UTF-8", "new\nline": "2", "ütf ☃": "3", strings.Repeat("long/", 60) + "name": "4", "zz-empty": "",
		"large": strings.Repeat("weights ", 9<<18), "last/z": strings.Repeat("x", 5<<20),
	}
	_, v := pushed(t, want)
	document, got := read(t, handOver(t, v))
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%.30q: %d bytes, want %d", name, len(got[name]), len(text))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	text, ok := bytes.CutSuffix(document, []byte("\n"))
	if !ok {
		t.Errorf("it has no line feed: %s", document)
	}
	d := parse(t, text)
	if d.Format != format || d.Artefact != "team/fraud-detector" || d.Version != 7 || d.Directories != 2 || len(d.Files) != len(want) || d.Labels["product"] != "scoring" {
		t.Errorf("%+v", d)
	}
	if d.versionDigest() != d.Digest || d.Digest != v.Digest {
		t.Error("the list does not have the version digest")
	}
}

// document is transfer.json.
type document struct {
	Description
	Files []File `json:"files"`
}

func parse(t testing.TB, text []byte) *document {
	t.Helper()
	var d document
	if err := canonical.Unmarshal(text, &d); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return &d
}

// versionDigest is what FORMAT.md §7.5 makes of the list: with the salt it proves
// that the files are the version.
func (d *document) versionDigest() canonical.Digest {
	text := append(d.Salt[:], "aivault-version/1\n"...)
	for _, f := range d.Files {
		path := f.Path
		if f.Bytes != nil {
			path = string(f.Bytes)
		}
		text = fmt.Appendf(text, "%s %d %s %s\x00", f.Mode, f.Size, f.SHA256, path)
	}
	return canonical.Sum(text)
}

// TestFormatExample: transfer.json in the specification is what the code writes.
func TestFormatExample(t *testing.T) {
	doc, err := os.ReadFile("../FORMAT.md")
	must(t, err)
	_, rest, ok := strings.Cut(string(doc), "\n```json transfer\n")
	text, _, end := strings.Cut(rest, "\n```\n")
	if !ok || !end {
		t.Fatal("FORMAT.md has no example of transfer.json")
	}
	d := parse(t, []byte(text))
	if d.Format != format || d.versionDigest() != d.Digest {
		t.Errorf("version digest %s, of %+v", d.versionDigest(), d)
	}
	if again, err := canonical.Marshal(d); err != nil || string(again) != text {
		t.Errorf("it encodes again as %s (%v)", again, err)
	}
}

// TestWriteDamaged: nothing is whole of a version that does not verify, wherever
// the damage is.
func TestWriteDamaged(t *testing.T) {
	store, v := pushed(t, map[string]string{"config.json": "{}", "large": strings.Repeat("weights ", 5<<17), "z": "1"})
	for _, key := range store.Keys() {
		if !strings.Contains(key, "/c/") && !strings.Contains(key, "/r-") {
			continue
		}
		t.Run(key[len(key)-8:], func(t *testing.T) {
			undo := damage(t, store, key)
			defer undo()
			c, err := Survey(t.Context(), v)
			if err == nil {
				err = c.Write(t.Context(), io.Discard, identity(t).Recipient(), description(v), nil)
			}
			if !errors.Is(err, transfer.ErrIntegrity) {
				t.Errorf("%v", err)
			}
		})
	}
	handOver(t, v)
}

// damage flips a bit of an object; undo flips it back.
func damage(t testing.TB, store *mem.Store, key string) (undo func()) {
	t.Helper()
	flip := func() {
		if !store.Tamper(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }) {
			t.Fatalf("there is no %s", key)
		}
	}
	flip()
	return flip
}

// failing is a disk that is full after so many bytes.
type failing int

func (f *failing) Write(b []byte) (int, error) {
	if *f -= failing(len(b)); *f < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestWriteToAFullDisk(t *testing.T) {
	_, v := pushed(t, map[string]string{"large": strings.Repeat("weights ", 1<<18)})
	c, err := Survey(t.Context(), v)
	must(t, err)
	for _, room := range []failing{0, 100, 70_000, 1 << 20} {
		if err := c.Write(t.Context(), &room, identity(t).Recipient(), description(v), nil); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%v", err)
		}
	}
}

func TestOut(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out")
	discarded, err := Create(name)
	must(t, err)
	must(t, discarded.Discard())
	o, err := Create(name)
	must(t, err)
	other, err := Create(name)
	must(t, err)
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has its name before it is whole: %v", err)
	}
	_, err = o.WriteString("whole")
	must(t, err)
	must(t, o.Commit())
	if err := other.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the second of two: %v", err)
	}
	if _, err := Create(name); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "whole" {
		t.Errorf("%q, %v", b, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
