package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/vault/transfer"
)

const mib = 1 << 20

func TestRoundTrip(t *testing.T) {
	for _, padded := range []bool{false, true} {
		t.Run(fmt.Sprintf("padded=%v", padded), func(t *testing.T) {
			v := newVault(t)
			v.padded = padded
			files := map[string]string{
				"large": cheap(1, 35*mib+123), "exact": cheap(2, 16*mib), "above": cheap(3, 4*mib+1), "border": cheap(4, 4*mib),
				"*run.sh": "#!/bin/sh\n", "empty": "", "none/": "", "a/b/c/none/": "", "twice": cheap(1, 35*mib+123)[:100],
				"a-b": "1", "a/b/x": "2", "a.b": "3", "\xff\xfe": "not UTF-8", "new\nline": "4", "*a/b/*y": "5",
				"back\\slash": "6", "-rf": "7", "..dots": "8", "...": "9", " lead": "10", "trail ": "11", "\x01\x7f": "12",
				"Case": "13", "case": "14", "\u00e9": "composed", "e\u0301": "decomposed", "\u202egpj": "15", "quote\"'": "16",
			}
			for i := range 100 {
				files[fmt.Sprintf("many/%03d", i)] = cheap(uint64(100+i), 50_000)
			}
			src := tree(t, files)
			s, done := v.push(src, nil)
			if done.Files != 126 || done.Directories != 2 || done.Unchanged || done.Borrowed {
				t.Errorf("pushed %+v", done)
			}
			dest := filepath.Join(t.TempDir(), "new", "dest")
			got := mustPull(t, s, dest, transfer.PullOptions{})
			sameContents(t, dest, src)
			if got.Files != done.Files || got.Bytes != done.Bytes || got.Directories != done.Directories || got.KeptFiles != 0 {
				t.Errorf("pulled %+v of %+v", got, done)
			}
			for _, full := range []bool{false, true} {
				report, err := transfer.Check(t.Context(), s, full, nil)
				if err != nil || len(report.Problems) > 0 {
					t.Fatalf("full=%v: %+v, %v", full, report, err)
				}
				if len(report.Keys) != len(v.mem.Keys()) {
					t.Errorf("full=%v: %d keys of %d", full, len(report.Keys), len(v.mem.Keys()))
				}
				if full && (report.Files != done.Files || report.Bytes != done.Bytes) {
					t.Errorf("verified %d files and %d bytes of %d and %d", report.Files, report.Bytes, done.Files, done.Bytes)
				}
			}
			again := mustPull(t, s, dest, transfer.PullOptions{})
			if again.KeptFiles != done.Files || again.KeptBytes != done.Bytes || again.Files != done.Files {
				t.Errorf("pulled again: %+v", again)
			}
			sameContents(t, dest, src)
		})
	}
}

func TestRoundTripOfRandomTrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		files := make(map[string]string)
		segment := rapid.SampledFrom([]string{"a", "b", "a-", "a.b", "é", "\xfe", "x y", "-", "…"})
		for range rapid.IntRange(1, 12).Draw(rt, "files") {
			path := strings.Join(rapid.SliceOfN(segment, 1, 4).Draw(rt, "path"), "/")
			size := rapid.SampledFrom([]int{0, 1, 17, 4096, 300_000}).Draw(rt, "size")
			files[path] = cheap(uint64(rapid.IntRange(1, 3).Draw(rt, "seed")), size)
		}
		// A path that is above another becomes a directory.
		for path := range files {
			for p := filepath.Dir(path); p != "."; p = filepath.Dir(p) {
				delete(files, p)
			}
		}
		v := newVault(t)
		src := tree(t, files)
		s, _ := v.push(src, nil)
		dest := t.TempDir()
		mustPull(t, s, dest, transfer.PullOptions{})
		sameContents(t, dest, src)
		if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) > 0 {
			rt.Fatalf("%+v, %v", report, err)
		}
		_, again := v.push(src, v.base(s))
		if !again.Unchanged {
			rt.Errorf("the same tree again: %+v", again)
		}
	})
}

func TestIncludeAndExclude(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{
		"config.json": "1", "w/model-1.bin": cheap(1, 5*mib), "w/model-2.bin": cheap(2, 5*mib), "w/notes.tmp": "2", "docs/a/b.md": "3", "docs/none/": "",
	})
	s, _ := v.push(src, nil)
	for _, c := range []struct {
		include, exclude []string
		want             string
	}{
		{nil, nil, "config.json docs/a/b.md docs/none w/model-1.bin w/model-2.bin w/notes.tmp"},
		{[]string{"*.json"}, nil, "config.json"},
		{[]string{"w"}, []string{"*.tmp"}, "w/model-1.bin w/model-2.bin"},
		{[]string{"w/*-2.*", "docs/**/*.md"}, nil, "docs/a/b.md w/model-2.bin"},
		{nil, []string{"w", "/docs/none/"}, "config.json docs/a/b.md"},
		{[]string{"**/model-*"}, nil, "w/model-1.bin w/model-2.bin"},
		{[]string{"absent"}, nil, ""},
	} {
		dest := t.TempDir()
		mustPull(t, s, dest, transfer.PullOptions{Include: c.include, Exclude: c.exclude})
		var got []string
		err := filepath.WalkDir(dest, func(name string, de os.DirEntry, err error) error {
			if rel, _ := filepath.Rel(dest, name); err == nil && (!de.IsDir() || de.Name() == "none") {
				got = append(got, rel)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("include %q, exclude %q: %q", c.include, c.exclude, got)
		}
	}
	if _, err := pull(t.Context(), s, t.TempDir(), transfer.PullOptions{Include: []string{"["}}); err == nil {
		t.Error("a bad pattern was accepted")
	}
}

func TestProgress(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"a": cheap(1, 20*mib), "b": cheap(1, 20*mib), "c": "small"})
	p, id := v.newPush()
	var last transfer.Progress
	p.Progress = func(pr transfer.Progress) {
		if pr.Files < last.Files || pr.Bytes < last.Bytes || pr.Reused < last.Reused || pr.Transferred < last.Transferred {
			t.Errorf("%+v after %+v", pr, last)
		}
		last = pr
	}
	done, err := p.Run(t.Context(), scan(t, src), nil)
	if err != nil {
		t.Fatal(err)
	}
	if last.Files != 3 || last.Bytes != 40*mib+5 || last.Reused != 20*mib || last.Transferred != done.Uploaded || done.Reused != last.Reused {
		t.Errorf("pushed %+v: %+v", done, last)
	}
	s := v.source(p, done, id)
	for i := range 2 {
		last = transfer.Progress{}
		dest := filepath.Join(filepath.Dir(src), "dest")
		mustPull(t, s, dest, transfer.PullOptions{Progress: p.Progress})
		if last.Files != 3 || last.Bytes != 40*mib+5 || (i == 1) != (last.Reused == last.Bytes) || (i == 1) != (last.Transferred == 0) {
			t.Errorf("pull %d: %+v", i, last)
		}
	}
}

func TestCancelledTransfersLeaveNothing(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"a": cheap(1, 20*mib), "b": "small"})
	s, _ := v.push(src, nil)
	cause := errors.New("the user's")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := transfer.Scan(ctx, []string{src}, transfer.ScanOptions{}); !errors.Is(err, cause) {
		t.Errorf("scan: %v", err)
	}
	p, _ := v.newPush()
	if _, err := p.Run(ctx, scan(t, src), nil); !errors.Is(err, cause) {
		t.Errorf("push: %v", err)
	}
	if _, err := transfer.Check(ctx, s, true, nil); !errors.Is(err, cause) {
		t.Errorf("check: %v", err)
	}
	for _, after := range []int64{0, 1, 5*mib + 1} {
		ctx, cancel := context.WithCancelCause(t.Context())
		dest := t.TempDir()
		opened, err := transfer.Open(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		if after == 0 {
			cancel(cause)
		}
		_, err = opened.Pull(ctx, dest, transfer.PullOptions{Progress: func(p transfer.Progress) {
			if p.Transferred >= after {
				cancel(cause)
			}
		}})
		if !errors.Is(err, cause) {
			t.Errorf("pull, cancelled after %d bytes: %v", after, err)
		}
		for _, line := range contents(t, dest) {
			if !strings.HasPrefix(line, `"b" `) {
				t.Errorf("pull, cancelled after %d bytes, left %s", after, line)
			}
		}
		cancel(nil)
	}
}
