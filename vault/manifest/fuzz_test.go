package manifest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
)

func marshal(v any) string {
	b, err := canonical.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A decoder must not crash, and what it accepts must encode to the same bytes.

func FuzzDecodePart(f *testing.F) {
	for _, files := range [][]File{smallFiles(3), {largeFile("x", 3)}, {{Path: "\xff", Mode: Directory, SHA256: nothing}}} {
		for _, p := range build(f, SecretFrom(fixed(0, "key")), files) {
			f.Add(p.First, p.At, p.Plain)
		}
	}
	f.Fuzz(func(t *testing.T, first string, at int64, b []byte) {
		p, err := DecodePart(first, at, b)
		if err != nil {
			return
		}
		w := wirePart{Format: partFormat, Chunks: limited[wireChunk]{}, Entries: limited[wireEntry]{}}
		for i := range p.Chunks {
			w.Chunks = append(w.Chunks, p.Chunks[i].wire())
		}
		for i := range p.Entries {
			w.Entries = append(w.Entries, p.Entries[i].wire())
		}
		if again := marshal(w); again != string(b) {
			t.Errorf("%s encodes again as %s", b, again)
		}
	})
}

func FuzzDecodeNode(f *testing.F) {
	for _, n := range collect(f, Nodes(SecretFrom(fixed(0, "key")), []Ref{{"a", 3, *fixedChunk(1, 1)}, {"\xff", 0, *fixedChunk(2, 2)}})) {
		f.Add(false, n.First, n.At, n.Plain)
	}
	for _, n := range collect(f, Nodes(SecretFrom(fixed(0, "key")), []Ref{{"a", 0, *fixedChunk(1, 1)}, {"a", 4, *fixedChunk(2, 2)}})) {
		f.Add(true, n.First, n.At, n.Plain)
	}
	f.Fuzz(func(t *testing.T, tensors bool, first string, at int64, b []byte) {
		of := Files
		if tensors {
			of = Tensors
		}
		n, err := DecodeNode(of, first, at, b)
		if err != nil {
			return
		}
		w := wireNode{Format: nodeFormat}
		for i := range n.Parts {
			w.Parts = append(w.Parts, n.Parts[i].wire())
		}
		if again := marshal(w); again != string(b) {
			t.Errorf("%s encodes again as %s", b, again)
		}
	})
}

func FuzzDecodeRoot(f *testing.F) {
	files := smallFiles(3)
	root := rootOf(files, refs(build(f, SecretFrom(fixed(0, "key")), files)))
	root.Tensors = refs(collect(f, TensorParts(root.Cut, someTensors(5))))
	plain, err := root.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add(Pad(slices.Clone(plain)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRoot(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, bytes.TrimRight(b, "\x00")) {
			t.Errorf("%s encodes again as %s (%v)", b, again, err)
		}
	})
}

func FuzzDecodeTensors(f *testing.F) {
	for _, p := range collect(f, TensorParts(SecretFrom(fixed(0, "key")), someTensors(5))) {
		f.Add(p.First, p.Plain)
	}
	f.Fuzz(func(t *testing.T, first string, b []byte) {
		p, err := DecodeTensors(first, b)
		if err != nil {
			return
		}
		w := wireTensors{Format: tensorsFormat}
		for i := range p.Tensors {
			w.Tensors = append(w.Tensors, p.Tensors[i].wire())
		}
		if again := marshal(w); again != string(b) {
			t.Errorf("%s encodes again as %s", b, again)
		}
	})
}

func FuzzDecodeReferences(f *testing.F) {
	plain, err := sampleReferences().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add(Pad(slices.Clone(plain)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReferences(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, bytes.TrimRight(b, "\x00")) {
			t.Errorf("%q encodes again as %q (%v)", b, again, err)
		}
	})
}
