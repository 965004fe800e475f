package manifest

import (
	"crypto/sha256"

	"github.com/aivault/aivault/crypto/canonical"
)

const partFormat = "aivault-manifest-part/1"

// Wire types give documents their members, in order.
type (
	wireChunk struct {
		Creator    canonical.ID     `json:"creator"`
		Name       string           `json:"name"`
		Seed       secretText       `json:"seed"`
		Sealed     canonical.Digest `json:"sealed_sha256"`
		SealedSize int64            `json:"sealed_size"`
		Digest     Digest           `json:"blake3"`
		Length     int64            `json:"length"`
		Encoding   string           `json:"encoding"`
		Encoded    int64            `json:"encoded,omitzero"`
	}
	wireEntry struct {
		Path      string           `json:"path,omitempty"`
		PathBytes []byte           `json:"path_base64,omitempty"`
		Mode      Mode             `json:"mode"`
		Size      int64            `json:"size"`
		SHA256    canonical.Digest `json:"sha256"`
		At        int64            `json:"at,omitzero"`
		Extents   [][3]int64       `json:"extents"` // chunk, offset, length
	}
	wirePart struct {
		Format  string             `json:"format"`
		Chunks  limited[wireChunk] `json:"chunks"`
		Entries limited[wireEntry] `json:"entries"`
	}
)

func (c *Chunk) wire() wireChunk {
	return wireChunk{c.Creator, c.Name, c.Seed.Reveal(), c.Sealed, c.SealedSize, c.Digest, c.Length, c.Encoding, c.Encoded}
}

func (w *wireChunk) chunk() (Chunk, error) {
	c := Chunk{w.Creator, w.Name, SecretFrom(w.Seed), w.Sealed, w.SealedSize, w.Digest, w.Length, w.Encoding, w.Encoded}
	return c, c.check()
}

func (e *Entry) wire() wireEntry {
	w := wireEntry{Mode: e.Mode, Size: e.Size, SHA256: e.SHA256, At: e.At, Extents: make([][3]int64, len(e.Extents))}
	w.Path, w.PathBytes = spell(e.Path)
	for i, x := range e.Extents {
		w.Extents[i] = [3]int64{int64(x.Chunk), x.Offset, x.Length}
	}
	return w
}

// entry decodes an entry and checks it as far as it says something about itself.
func (w *wireEntry) entry() (Entry, error) {
	path, err := unspell(w.Path, w.PathBytes)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: path, Mode: w.Mode, Size: w.Size, SHA256: w.SHA256, At: w.At}
	switch {
	case e.Mode != Regular && e.Mode != Executable && e.Mode != Directory:
		return e, malformed("%q: mode %q", path, e.Mode)
	case e.Size < 0 || e.Size > MaxBytes || e.Mode == Directory && e.Size > 0:
		return e, malformed("%q: mode %s and %d bytes", path, e.Mode, e.Size)
	case e.Size == 0 && e.SHA256 != sha256.Sum256(nil):
		return e, malformed("%q: the SHA-256 of nothing is not %s", path, e.SHA256)
	case w.Extents == nil:
		return e, malformed("%q: no list of extents", path)
	case e.At < 0 || e.At > e.Size || e.At > 0 && len(w.Extents) == 0:
		return e, malformed("%q: extents from %d on", path, e.At)
	}
	for _, x := range w.Extents {
		if x[0] < 0 || x[0] >= MaxExtents || x[1] < 0 || x[1] > MaxChunk || x[2] < 1 || x[2] > MaxChunk {
			return e, malformed("%q: extent %d", path, x)
		}
		e.Extents = append(e.Extents, Extent{int(x[0]), x[1], x[2]})
	}
	return e, nil
}

// DecodePart decodes and checks a part that a ref says to begin at byte at of the
// file first. Errors wrap ErrMalformed or entry.ErrUpgrade. What holds between parts is for
// [Sequence] to check.
func DecodePart(first string, at int64, b []byte) (*Part, error) {
	var w wirePart
	if err := decode(b, partFormat, MaxPart, &w); err != nil {
		return nil, err
	}
	p := &Part{Chunks: make([]Chunk, len(w.Chunks)), Entries: make([]Entry, len(w.Entries))}
	var err error
	for i := range w.Chunks {
		if p.Chunks[i], err = w.Chunks[i].chunk(); err != nil {
			return nil, err
		}
	}
	for i := range w.Entries {
		if p.Entries[i], err = w.Entries[i].entry(); err != nil {
			return nil, err
		}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if e := &p.Entries[0]; e.Path != first || e.At != at {
		return nil, malformed("part %q at %d begins with %q at %d", first, at, e.Path, e.At)
	}
	return p, nil
}

// check checks what a part's entries and chunks say about each other.
func (p *Part) check() error {
	if len(p.Entries) == 0 {
		return malformed("a part without entries")
	}
	type object struct {
		creator canonical.ID
		name    string
	}
	seen := make(map[object]bool, len(p.Chunks))
	for _, c := range p.Chunks {
		o := object{c.Creator, c.Name}
		if seen[o] {
			return malformed("chunk %s is listed twice", c.Name)
		}
		seen[o] = true
	}
	var o order
	if p.Entries[0].At > 0 {
		o.resume(&p.Entries[0])
	}
	used, weight := 0, 0
	for i := range p.Entries {
		e := &p.Entries[i]
		if weight += max(1, len(e.Extents)); weight > MaxExtents {
			return malformed("more than %d extents", MaxExtents)
		}
		for _, x := range e.Extents {
			if x.Chunk > used || x.Chunk >= len(p.Chunks) {
				return malformed("%q: chunk %d is not in the order of first use", e.Path, x.Chunk)
			}
			used = max(used, x.Chunk+1)
			if length := p.Chunks[x.Chunk].Length; x.Offset > length || x.Length > length-x.Offset {
				return malformed("%q: extent %d+%d of a chunk of %d bytes", e.Path, x.Offset, x.Length, length)
			}
		}
		if err := o.next(e); err != nil {
			return err
		}
	}
	if used != len(p.Chunks) {
		return malformed("chunk %d is not used", used)
	}
	return nil
}
