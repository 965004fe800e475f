package manifest

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/aivault/aivault/crypto/canonical"
)

// File is what a part is built from: an entry, and where its bytes are.
type File struct {
	Path   string
	Mode   Mode
	Size   int64
	SHA256 canonical.Digest
	Pieces []Piece // the file's bytes, in order
}

// Piece is a range of a chunk's plaintext. One chunk is always the same pointer.
type Piece struct {
	Chunk  *Chunk
	Offset int64
	Length int64
}

// Encoded is the plaintext of a part or a node, and what comes first in it.
type Encoded struct {
	First string
	At    int64 // see [Ref]
	Plain []byte
}

// Parts yields the parts of a manifest for files, which must come in bytewise
// order of their paths. It stops at the first error.
func Parts(key Secret, files iter.Seq[File]) iter.Seq2[Encoded, error] {
	return func(yield func(Encoded, error) bool) {
		b := partBuilder{}
		cut := NewCutter(key)
		for f := range files {
			b.out = b.out[:0]
			err := b.add(f)
			if err == nil && b.weight > 0 && cut.endsPart(f.Path, max(1, len(f.Pieces))) {
				b.flush()
			}
			for _, part := range b.out {
				if !yield(part, nil) {
					return
				}
			}
			if err != nil {
				yield(Encoded{}, fmt.Errorf("listing %q in a manifest: %w", f.Path, err))
				return
			}
		}
		if b.weight > 0 {
			b.out = b.out[:0]
			b.flush()
			yield(b.out[0], nil)
		}
	}
}

// partBuilder collects entries until a part is full.
type partBuilder struct {
	first   string
	at      int64
	chunks  bytes.Buffer // encodings, joined by commas
	entries bytes.Buffer
	index   map[*Chunk]int
	weight  int
	out     []Encoded // finished parts
}

// add adds a file, in pieces if it has more extents than a part may list.
func (b *partBuilder) add(f File) error {
	at := int64(0)
	for pieces := f.Pieces; ; {
		n := min(len(pieces), MaxExtents)
		if b.weight+max(1, n) > MaxExtents {
			b.flush()
		}
		e := Entry{Path: f.Path, Mode: f.Mode, Size: f.Size, SHA256: f.SHA256, At: at}
		if err := b.addEntry(e, pieces[:n]); err != nil {
			return err
		}
		for _, p := range pieces[:n] {
			at += p.Length
		}
		if pieces = pieces[n:]; len(pieces) == 0 {
			return nil
		}
	}
}

func (b *partBuilder) addEntry(e Entry, pieces []Piece) error {
	for {
		chunks, err := b.table(&e, pieces)
		if err != nil {
			return err
		}
		entry, err := canonical.Marshal(e.wire())
		if err != nil {
			return err
		}
		const frame = 128 // the rest of a part's encoding
		if b.weight > 0 && b.chunks.Len()+len(chunks)+b.entries.Len()+len(entry)+frame > MaxPart {
			b.flush()
			continue
		}
		if b.weight == 0 {
			b.first, b.at = e.Path, e.At
		}
		join(&b.chunks, chunks)
		join(&b.entries, entry)
		b.weight += max(1, len(pieces))
		return nil
	}
}

// table sets e's extents and returns the encodings of the chunks that are new to
// the part, which it enters into the index.
func (b *partBuilder) table(e *Entry, pieces []Piece) ([]byte, error) {
	if b.index == nil {
		b.index = make(map[*Chunk]int)
	}
	var fresh bytes.Buffer
	e.Extents = make([]Extent, len(pieces))
	for i, p := range pieces {
		n, ok := b.index[p.Chunk]
		if !ok {
			n = len(b.index)
			b.index[p.Chunk] = n
			enc, err := canonical.Marshal(p.Chunk.wire())
			if err != nil {
				return nil, err
			}
			join(&fresh, enc)
		}
		e.Extents[i] = Extent{n, p.Offset, p.Length}
	}
	return fresh.Bytes(), nil
}

func (b *partBuilder) flush() {
	plain := fmt.Appendf(nil, `{"format":"%s","chunks":[%s],"entries":[%s]}`, partFormat, b.chunks.Bytes(), b.entries.Bytes())
	b.out = append(b.out, Encoded{b.first, b.at, plain})
	b.chunks.Reset()
	b.entries.Reset()
	b.index, b.weight = nil, 0
}

func join(b *bytes.Buffer, enc []byte) {
	if b.Len() > 0 && len(enc) > 0 {
		b.WriteByte(',')
	}
	b.Write(enc)
}
