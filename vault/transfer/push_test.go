package transfer_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/transfer"
)

func TestUnchangedTreeStoresNothing(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"large": cheap(1, 20*mib), "small": "1", "*run": "2", "none/": ""})
	s, first := v.push(src, nil)
	before := len(v.mem.Keys())
	_, again := v.push(src, v.base(s))
	if !again.Unchanged || again.Digest != first.Digest || again.Files != first.Files || again.Bytes != first.Bytes || len(v.mem.Keys()) != before {
		t.Errorf("%+v, and %d objects more", again, len(v.mem.Keys())-before)
	}
	steps := []struct {
		name   string
		change func() error
	}{
		{"content", func() error { return os.WriteFile(filepath.Join(src, "small"), []byte("3"), 0o644) }},
		{"mode", func() error { return os.Chmod(filepath.Join(src, "small"), 0o755) }},
		{"new file", func() error { return os.WriteFile(filepath.Join(src, "new"), nil, 0o644) }},
		{"renamed", func() error { return os.Rename(filepath.Join(src, "new"), filepath.Join(src, "newer")) }},
		{"gone", func() error { return os.Remove(filepath.Join(src, "newer")) }},
		{"directory", func() error { return os.Mkdir(filepath.Join(src, "empty"), 0o777) }},
		{"no directory", func() error { return os.Remove(filepath.Join(src, "empty")) }},
	}
	for _, step := range steps {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		next, done := v.push(src, v.base(s))
		if done.Unchanged || !done.Borrowed || done.Digest == first.Digest {
			t.Errorf("%s: %+v", step.name, done)
		}
		if done.Uploaded > 100_000 || done.Reused < 20*mib {
			t.Errorf("%s: %d bytes uploaded, %d reused", step.name, done.Uploaded, done.Reused)
		}
		s = next
	}
	dest := t.TempDir()
	mustPull(t, s, dest, transfer.PullOptions{})
	sameContents(t, dest, src)
	if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A version that borrows must not need the base's manifest, only its chunks.
func TestBorrowedChunksStandUnderTheirCreator(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"large": cheap(1, 20*mib)})
	one, _ := v.push(src, nil)
	write(t, filepath.Join(src, "more"), []byte("1"))
	two, done := v.push(src, v.base(one))
	v.mem.Remove(one.Manifest.Key)
	v.mem.Remove(one.References.Key)
	dest := t.TempDir()
	mustPull(t, two, dest, transfer.PullOptions{})
	sameContents(t, dest, src)
	var stored, own int64
	for info, err := range v.mem.List(t.Context(), "", backends.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(info.Key, manifest.VersionPrefix(v.aid, two.Version)) {
			own += info.Size
		}
		stored += info.Size
	}
	if own != done.Uploaded {
		t.Errorf("%d bytes uploaded, %d are there", done.Uploaded, own)
	}
	// Of the first version, only its part is not the second's.
	if done.Stored <= 20*mib || done.Stored >= stored {
		t.Errorf("%d bytes stored, of %d", done.Stored, stored)
	}
	if report, err := transfer.Check(t.Context(), two, true, nil); err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestFewFilesChangedInManyRewriteLittle(t *testing.T) {
	v := newVault(t)
	files := make(map[string]string)
	for i := range 600 {
		files[fmt.Sprintf("d%02d/f%03d", i/50, i)] = cheap(uint64(i), 60_000)
	}
	src := tree(t, files)
	s, first := v.push(src, nil)
	write(t, filepath.Join(src, "d05/f251-more"), []byte("inserted"))
	s2, done := v.push(src, v.base(s))
	// The group it joins, and the part that lists it. Only a name that ends a group
	// cuts one in two.
	if n := v.chunks(s2); n > 3 {
		t.Errorf("%d objects are new", n)
	}
	// One group of some 4 MiB, at most two where the insertion moves an end, and the parts.
	if done.Uploaded > first.Uploaded/2 || done.Reused < first.Bytes/2 {
		t.Errorf("of %d bytes %d were uploaded, %d reused", first.Uploaded, done.Uploaded, done.Reused)
	}
}

// After its base died a push sends what it borrowed, and nothing else.
func TestRunAgainWithoutTheBase(t *testing.T) {
	v := newVault(t)
	counting := backendtest.NewCounting(v.mem)
	v.store = counting
	src := tree(t, map[string]string{"one": cheap(1, 16*mib), "two": cheap(2, 16*mib)})
	s, _ := v.push(tree(t, map[string]string{"one": cheap(1, 16*mib)}), nil)
	p, id := v.newPush()
	done, err := p.Run(t.Context(), scan(t, src), v.base(s))
	if err != nil {
		t.Fatal(err)
	}
	if !done.Borrowed || done.Reused != 16*mib {
		t.Errorf("with the base: %+v", done)
	}
	before, pieces := len(v.mem.Keys()), v.chunks(s)-1
	done, err = p.Run(t.Context(), scan(t, src), nil)
	if err != nil {
		t.Fatal(err)
	}
	if done.Borrowed || done.Stored != done.Uploaded {
		t.Errorf("without: %+v", done)
	}
	// What was borrowed, a part that names it, root and references.
	if more := len(v.mem.Keys()) - before; more != pieces+3 {
		t.Errorf("%d objects were stored again", more)
	}
	for _, key := range v.mem.Keys() {
		if strings.HasPrefix(key, manifest.VersionPrefix(v.aid, s.Version)) {
			v.mem.Remove(key)
		}
	}
	dest := t.TempDir()
	mustPull(t, v.source(p, done, id), dest, transfer.PullOptions{})
	sameContents(t, dest, src)
}

func TestChangedFilesAreNoticed(t *testing.T) {
	for name, change := range map[string]func(name string) error{
		"appended": func(n string) error {
			f, err := os.OpenFile(n, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more")
			return errors.Join(err, f.Close())
		},
		"truncated": func(n string) error { return os.Truncate(n, 5) },
		"rewritten": func(n string) error {
			return errors.Join(os.WriteFile(n, []byte(strings.Repeat("y", 5*mib)), 0o644), os.Chtimes(n, time.Time{}, time.Unix(2e9, 0)))
		},
		"replaced": func(n string) error {
			fi, err := os.Stat(n)
			return errors.Join(err, os.WriteFile(n+"~", []byte(strings.Repeat("y", 5*mib)), 0o644), os.Chtimes(n+"~", fi.ModTime(), fi.ModTime()), os.Rename(n+"~", n))
		},
		"removed": os.Remove,
		"a link":  func(n string) error { return errors.Join(os.Remove(n), os.Symlink("a", n)) },
	} {
		for _, file := range []string{"large", "small", "empty"} {
			src := tree(t, map[string]string{"large": strings.Repeat("x", 5*mib), "small": strings.Repeat("x", 100), "empty": "", "a": strings.Repeat("x", 5*mib)})
			found := scan(t, src)
			if err := change(filepath.Join(src, file)); err != nil {
				t.Fatal(err)
			}
			v := newVault(t)
			p, _ := v.newPush()
			if _, err := p.Run(t.Context(), found, nil); !errors.Is(err, transfer.ErrChanged) || !strings.Contains(err.Error(), file) {
				t.Errorf("%s was %s: %v", file, name, err)
			}
			for _, key := range v.mem.Keys() {
				if !strings.Contains(key, "/c/") {
					t.Errorf("%s was %s: %s was stored", file, name, key)
				}
			}
		}
	}
}

func TestFileThatChangesWhileItIsRead(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"large": cheap(1, 40*mib)})
	p, _ := v.newPush()
	p.Progress = func(transfer.Progress) {
		if err := os.Chtimes(filepath.Join(src, "large"), time.Time{}, time.Unix(2e9, 0)); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Run(t.Context(), scan(t, src), nil); !errors.Is(err, transfer.ErrChanged) {
		t.Error(err)
	}
}

func TestPushMeetsFaults(t *testing.T) {
	src := tree(t, map[string]string{"a": cheap(1, 4*mib+1), "b": "1"})
	// A piece, a group, a part, root and references.
	for n := 1; n <= 5; n++ {
		for _, mode := range []backendtest.Mode{backendtest.Fail, backendtest.FailLost, backendtest.FailStored} {
			v := newVault(t)
			v.store = backendtest.NewFaulty(v.mem, backendtest.FailNth(backendtest.Put, n, mode))
			s, _ := v.push(src, nil)
			if keys := len(v.mem.Keys()); keys != 5 {
				t.Errorf("put %d meets %v: %d objects", n, mode, keys)
			}
			s.Store = v.mem
			if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) > 0 {
				t.Errorf("put %d meets %v: %+v, %v", n, mode, report, err)
			}
		}
		v := newVault(t)
		v.store = backendtest.NewFaulty(v.mem, backendtest.FailNth(backendtest.Put, n, backendtest.Corrupt))
		p, id := v.newPush()
		done, err := p.Run(t.Context(), scan(t, src), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pull(t.Context(), v.source(p, done, id), t.TempDir(), transfer.PullOptions{}); !errors.Is(err, transfer.ErrIntegrity) {
			t.Errorf("put %d was corrupted: %v", n, err)
		}
	}
	v := newVault(t)
	v.store = backendtest.NewFaulty(v.mem, backendtest.FailKeys(backendtest.Put, "", backendtest.Fail))
	p, _ := v.newPush()
	p.Stall = 50 * time.Millisecond
	if _, err := p.Run(t.Context(), scan(t, src), nil); !errors.Is(err, backends.Unavailable) {
		t.Errorf("a store that is down: %v", err)
	}
	v.store = backendtest.NewFaulty(v.mem, func(c backendtest.Call) backendtest.Fault {
		return backendtest.Fault{Mode: backendtest.Fail, Err: &backends.Error{Op: "put", Key: c.Key, Kind: backends.Denied}}
	})
	p, _ = v.newPush()
	if _, err := p.Run(t.Context(), scan(t, src), nil); !errors.Is(err, backends.Denied) {
		t.Errorf("a store that denies: %v", err)
	}
}

func TestRequests(t *testing.T) {
	v := newVault(t)
	counting := backendtest.NewCounting(v.mem)
	v.store = counting
	src := tree(t, map[string]string{"a": cheap(1, 40*mib), "b": "1", "c": "2", "zeros": strings.Repeat("\x00", 48*mib)})
	s, _ := v.push(src, nil)
	// The pieces of a, one of zeros, a group, a part, root, references.
	objects := v.chunks(s) + 2
	if objects < 8 || objects > 25 {
		t.Errorf("%d objects", objects)
	}
	if n := counting.Count(backendtest.Put, ""); n != objects || len(counting.Requests()) != n {
		t.Errorf("a push took %d puts, %d requests in all", n, len(counting.Requests()))
	}
	counting.Reset()
	dest := t.TempDir()
	mustPull(t, s, dest, transfer.PullOptions{})
	if n := counting.Count(backendtest.Get, ""); n != objects || len(counting.Requests()) != n {
		t.Errorf("a pull took %d gets, %d requests in all", n, len(counting.Requests()))
	}
	counting.Reset()
	mustPull(t, s, dest, transfer.PullOptions{})
	if n := counting.Count(backendtest.Get, ""); n != 3 || len(counting.Requests()) != n {
		t.Errorf("a pull of what is there took %d gets, %d requests in all", n, len(counting.Requests()))
	}
	counting.Reset()
	mustPull(t, s, t.TempDir(), transfer.PullOptions{Include: []string{"b"}})
	if n := counting.Count(backendtest.Get, ""); n != 3 || len(counting.Requests()) != n {
		t.Errorf("a pull of one file took %d gets, %d requests in all", n, len(counting.Requests()))
	}
	counting.Reset()
	if _, err := transfer.Check(t.Context(), s, false, nil); err != nil {
		t.Error(err)
	}
	if gets, lists := counting.Count(backendtest.Get, ""), counting.Count(backendtest.List, ""); gets != 3+objects-2 || lists != 1 || len(counting.Requests()) != gets+lists {
		t.Errorf("a quick check took %d gets and %d lists, %d requests in all", gets, lists, len(counting.Requests()))
	}
	counting.Reset()
	v.base(s)
	if n := counting.Count(backendtest.Get, ""); n != 2 || len(counting.Requests()) != n {
		t.Errorf("opening a base took %d gets, %d requests in all", n, len(counting.Requests()))
	}
}

func TestPaddedObjectsHaveFourSizes(t *testing.T) {
	v := newVault(t)
	v.padded = true
	files := map[string]string{"large": cheap(1, 37*mib), "medium": cheap(2, 5*mib)}
	for i := range 40 {
		files[fmt.Sprint("small", i)] = cheap(uint64(i), 5000*i)
	}
	v.push(tree(t, files), nil)
	sizes := make(map[int64]bool)
	for info, err := range v.mem.List(t.Context(), "", backends.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		sizes[info.Size] = true
	}
	if len(sizes) > 4 {
		t.Errorf("objects have %d sizes", len(sizes))
	}
}

func TestVersionDigestsDifferBySalt(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"a": "1"})
	_, one := v.push(src, nil)
	_, two := v.push(src, nil)
	if one.Digest == two.Digest || one.Digest == (canonical.Digest{}) {
		t.Error("two versions of the same files have the same digest")
	}
}
