package transfer

import (
	"bytes"
	"os"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
)

func TestRecord(t *testing.T) {
	r := newRecord(canonical.Sum([]byte("artefact")))
	sum, s := canonical.Sum([]byte("1")), stamp{size: 1, mtime: 2, inode: 3}
	r.plan("planned", sum)
	r.put("put", sum, s)
	b, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("put")) || bytes.Contains(b, sum[:tagSize]) {
		t.Errorf("a record tells names or content: %q", b)
	}
	got, err := decodeRecord(b)
	if err != nil || got.artefact != r.artefact || got.salt != r.salt {
		t.Fatalf("%+v, %v", got, err)
	}
	other := s
	other.mtime++
	for _, c := range []struct {
		what      string
		got, want bool
	}{
		{"put", got.knows("put", s), true},
		{"another name", got.knows("planned", s), false},
		{"changed", got.knows("put", other), false},
		{"content", got.knowsContent("put", sum), true},
		{"planned content", got.knowsContent("planned", sum), true},
		{"other content", got.knowsContent("put", canonical.Sum([]byte("2"))), false},
		{"content by another name", got.knowsContent("other", sum), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.what, c.got)
		}
	}
	both := got.next()
	both.plan("put", sum)
	both.union(got)
	if !both.knows("put", s) || !both.knowsContent("planned", sum) || len(both.tags) != 2 {
		t.Errorf("a union knows %d files", len(both.tags))
	}
}

func TestRecordThatMakesNoSense(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, text := range []string{"", "x", "{}\n", `{"format":"aivault-record/2"}` + "\n", `{"format":"aivault-record/1","artefact":"` + canonical.Sum(nil).String() + `","salt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","files":1}` + "\nshort"} {
		if err := os.WriteFile(dir+"/record", []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if r, err := readRecord(root, "record"); r != nil || err != nil {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
	if r, err := readRecord(root, "absent"); r != nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
}

func FuzzRecord(f *testing.F) {
	r := newRecord(canonical.Sum(nil))
	r.put("a", canonical.Sum(nil), stamp{})
	b, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		if second, err := decodeRecord(again); err != nil || len(second.tags) != len(r.tags) {
			t.Errorf("%v: %d of %d tags", err, len(second.tags), len(r.tags))
		}
	})
}
