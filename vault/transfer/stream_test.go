package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/transfer"
)

// sink remembers what a version's content is.
type sink struct {
	paths []string
	files map[string]*bytes.Buffer
	fail  error // of the first write
}

func (s *sink) Begin(e *manifest.Entry) error {
	s.paths = append(s.paths, e.Path)
	s.files[e.Path] = new(bytes.Buffer)
	return nil
}

func (s *sink) Write(b []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	return s.files[s.paths[len(s.paths)-1]].Write(b)
}

// stream surveys a version and takes its content.
func stream(ctx context.Context, t testing.TB, s transfer.Source, to *sink) (surveyed []string, last transfer.Progress, err error) {
	t.Helper()
	v, err := transfer.Open(ctx, s)
	if err != nil {
		return nil, last, err
	}
	if err := v.Survey(ctx, func(e *manifest.Entry) error {
		surveyed = append(surveyed, e.Path)
		return nil
	}); err != nil {
		return surveyed, last, err
	}
	return surveyed, last, v.Stream(ctx, to, func(p transfer.Progress) { last = p })
}

func TestStream(t *testing.T) {
	files := map[string]string{
		"a": "", "large": cheap(1, 35*mib+123), "none/": "", "small": "1", "twice": cheap(1, 35*mib+123)[:100], "z/none/": "", "zz": "",
	}
	for _, jobs := range []int{1, 0} {
		v := newVault(t)
		v.jobs = jobs
		s, done := v.push(tree(t, files), nil)
		to := &sink{files: map[string]*bytes.Buffer{}}
		surveyed, last, err := stream(t.Context(), t, s, to)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(to.paths) || !slices.Equal(surveyed, to.paths) || len(to.paths) != len(files) {
			t.Errorf("%q, and surveyed %q", to.paths, surveyed)
		}
		for path, b := range to.files {
			if text, ok := files[path]; ok && b.String() != text {
				t.Errorf("%q: %d bytes, want %d", path, b.Len(), len(text))
			}
		}
		if last.Files != done.Files || last.Bytes != done.Bytes {
			t.Errorf("progress %+v of %+v", last, done)
		}
	}
}

// TestStreamRefuses: what does not verify is never all of a version, and a sink or
// a caller that gives up is obeyed.
func TestStreamRefuses(t *testing.T) {
	v := newVault(t)
	f := newForger(v)
	lie := f.file("config.json", "content")
	lie.SHA256 = canonical.Sum([]byte("other content"))
	f.hash = manifest.NewVersionHash(f.root.Salt)
	f.hash.Add(lie.Path, lie.Mode, lie.Size, lie.SHA256)
	s := f.source(f.part(nil, lie))
	to := &sink{files: map[string]*bytes.Buffer{}}
	if _, _, err := stream(t.Context(), t, s, to); !errors.Is(err, transfer.ErrIntegrity) || len(to.paths) != 1 {
		t.Errorf("a file with another SHA-256: %v after %q", err, to.paths)
	}

	v = newVault(t)
	s, _ = v.push(tree(t, map[string]string{"a": "1", "large": cheap(2, 20*mib)}), nil)
	full := errors.New("full")
	if _, _, err := stream(t.Context(), t, s, &sink{files: map[string]*bytes.Buffer{}, fail: full}); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	opened, err := transfer.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := opened.Stream(ctx, &sink{files: map[string]*bytes.Buffer{}}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := opened.Survey(t.Context(), func(*manifest.Entry) error { return full }); !errors.Is(err, full) {
		t.Errorf("a survey that is broken off: %v", err)
	}
}
