package manifest

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"

	"github.com/aivault/aivault/crypto/seal"
)

// example returns the code block of FORMAT.md §7 with this info string.
func example(t *testing.T, info string) string {
	t.Helper()
	doc, err := os.ReadFile("../FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "\n```"+info+"\n")
	block, _, end := strings.Cut(rest, "```\n")
	if !ok || !end {
		t.Fatalf("FORMAT.md has no example %q", info)
	}
	return block
}

func parseSecret(t *testing.T, s string) Secret {
	t.Helper()
	var b [SecretSize]byte
	if n, err := hex.Decode(b[:], []byte(s)); err != nil || n != len(b) {
		t.Fatalf("%q is no secret", s)
	}
	return SecretFrom(b)
}

// The examples of the specification must be what the code reads and writes.
func TestFormatExamples(t *testing.T) {
	rootText := strings.TrimSuffix(example(t, "json root"), "\n")
	nodeText := strings.TrimSuffix(example(t, "json node"), "\n")
	partText := strings.TrimSuffix(example(t, "json part"), "\n")
	root, err := DecodeRoot([]byte(rootText))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := root.Encode(); err != nil || string(again) != rootText {
		t.Errorf("the root encodes again as %s (%v)", again, err)
	}
	node, err := DecodeNode(Files, root.Parts[0].First, 0, []byte(nodeText))
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []Ref{root.Parts[0], node.Parts[0]} {
		if ref.Digest != Sum([]byte(partText)) || ref.Length != int64(len(partText)) {
			t.Errorf("%s of %d bytes names a part %s of %d bytes", ref.Digest, ref.Length, Sum([]byte(partText)), len(partText))
		}
	}
	part, err := DecodePart(root.Parts[0].First, 0, []byte(partText))
	if err != nil {
		t.Fatal(err)
	}
	tensorText := strings.TrimSuffix(example(t, "json tensors"), "\n")
	if ref := root.Tensors[0]; ref.Digest != Sum([]byte(tensorText)) || ref.Length != int64(len(tensorText)) {
		t.Errorf("%s of %d bytes names a part %s of %d bytes", ref.Digest, ref.Length, Sum([]byte(tensorText)), len(tensorText))
	}
	tensors, err := DecodeTensors(root.Tensors[0].First, []byte(tensorText))
	if err != nil {
		t.Fatal(err)
	}
	if again := collect(t, TensorParts(root.Cut, tensors.Tensors)); len(again) != 1 || string(again[0].Plain) != tensorText {
		t.Errorf("the tensors are built again as %s", again[0].Plain)
	}
	seq := NewSequence(root)
	if err := seq.AddTensors(0, tensors); err != nil {
		t.Fatal(err)
	}
	if err := seq.Add(part); err != nil {
		t.Fatal(err)
	}
	digest, err := seq.Finish(root)
	if want := strings.TrimSpace(example(t, "text digest")); err != nil || digest.String() != want {
		t.Errorf("version digest %s, want %s (%v)", digest, want, err)
	}
	var files []File
	for _, e := range part.Entries {
		f := File{Path: e.Path, Mode: e.Mode, Size: e.Size, SHA256: e.SHA256}
		for _, x := range e.Extents {
			f.Pieces = append(f.Pieces, Piece{&part.Chunks[x.Chunk], x.Offset, x.Length})
		}
		files = append(files, f)
	}
	if again := build(t, root.Cut, files); len(again) != 1 || string(again[0].Plain) != partText {
		t.Errorf("the part is built again as %s", again[0].Plain)
	}
	if again := collect(t, Nodes(root.Cut, root.Parts)); string(again[0].Plain) != nodeText {
		t.Errorf("the node is built again as %s", again[0].Plain)
	}
	if part.Entries[4].Path != "\xff" || part.Entries[3].Mode != Executable || part.Entries[0].Mode != Directory {
		t.Errorf("entries %+v", part.Entries)
	}

	refs, err := DecodeReferences([]byte(example(t, "text references")))
	if err != nil {
		t.Fatal(err)
	}
	if refs.Artefact != root.Artefact || refs.Version != root.Version || len(refs.Objects) != len(part.Chunks)+2 || refs.RootSize != seal.SealedSize(int64(len(rootText)), 1) {
		t.Errorf("%+v", refs)
	}
	for _, c := range append(part.Chunks, root.Parts[0].Chunk, root.Tensors[0].Chunk) {
		found := false
		for _, o := range refs.Objects {
			found = found || o == Reference{c.Creator, c.Name, c.SealedSize}
		}
		if !found {
			t.Errorf("the references lack %s", c.Name)
		}
	}
}

func TestFormatChunkVector(t *testing.T) {
	var digest, cid, seed string
	if n, err := fmt.Sscanf(example(t, "text chunk"), "blake3 %s\ncid %s\nseed %s\n", &digest, &cid, &seed); n != 3 || err != nil {
		t.Fatal(err)
	}
	s := parseSecret(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	d := Sum([]byte("{\"a\":1}\n#!/bin/sh\n"))
	if d.String() != digest || ChunkName(s, d, nil)[:cidDigits] != cid || !ChunkSeed(s, d).Equal(parseSecret(t, seed)) {
		t.Errorf("digest %s, name %s", d, ChunkName(s, d, nil))
	}
	if crc := fmt.Sprintf("%016x", crc64nvme.Checksum([]byte("123456789"))); crc != "ae8b14860a799888" || !strings.Contains(exampleText(t), crc) {
		t.Errorf("CRC-64/NVME of the check string: %s", crc)
	}
	if name := ChunkName(s, d, []byte("123456789")); !strings.HasSuffix(name, "-ae8b14860a799888") {
		t.Errorf("name %s", name)
	}
}

func exampleText(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("../FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// That FORMAT.md §7.4 names these two numbers makes them a vector; they were
// computed by another program.
func TestFormatCuts(t *testing.T) {
	if text := exampleText(t); !strings.Contains(text, "from 1,465,891 bytes on") || !strings.Contains(text, "from 438 extents on") {
		t.Error("FORMAT.md names other numbers")
	}
	cut := NewCutter(parseSecret(t, "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"))
	if cut.EndsGroup("config.json", 1_465_890) || !cut.EndsGroup("config.json", 1_465_891) {
		t.Error("groups end elsewhere")
	}
	if cut.endsPart("run.sh", 437) || !cut.endsPart("run.sh", 438) {
		t.Error("parts end elsewhere")
	}
	if cut.EndsTensors("weight", 4095633) || !cut.EndsTensors("weight", 4095634) || !strings.Contains(exampleText(t), "from 4,095,634 bytes on.)") {
		t.Error("groups of tensors end elsewhere")
	}
	// What is compared besides the label: a name and a file, a first path and a place.
	for text, draw := range map[[2]string]uint64{{"tensors", "weight\x00model.bin"}: 0xba988d8c, {"node", "config.json\x000"}: 0x80c8792a} {
		if cut.ends(text[0], text[1], draw, 1<<32) || !cut.ends(text[0], text[1], draw+1, 1<<32) {
			t.Errorf("%q ends elsewhere", text)
		}
	}
}
