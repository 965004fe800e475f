package manifest

import (
	"crypto/sha256"
	"hash"
	"strconv"

	"github.com/aivault/aivault/crypto/canonical"
)

// VersionHash computes a version digest from entries in bytewise order of their
// paths (vault/FORMAT.md §7.5).
type VersionHash struct {
	h   hash.Hash
	buf []byte
}

// NewVersionHash starts a version digest under a salt.
func NewVersionHash(salt Secret) *VersionHash {
	v := &VersionHash{h: sha256.New()}
	s := salt.Reveal()
	v.h.Write(s[:])
	v.h.Write([]byte("aivault-version/1\n"))
	return v
}

// Add adds an entry.
func (v *VersionHash) Add(path string, mode Mode, size int64, sum canonical.Digest) {
	b := append(v.buf[:0], mode...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, size, 10)
	b = append(b, ' ')
	b = append(b, sum.String()...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, 0)
	v.h.Write(b)
	v.buf = b
}

// Sum returns the digest of what was added.
func (v *VersionHash) Sum() (d canonical.Digest) {
	v.h.Sum(d[:0])
	return d
}

// Sequence checks the parts of a manifest, given in order, against each other
// and against the root, and computes the version digest.
type Sequence struct {
	order       order
	hash        *VersionHash
	files, dirs int64
	bytes       int64
	lastTensor  *Tensor
	sameName    int64            // tensors of its name, it included
	ends        map[string]int64 // how long files must be at least for their tensors; less those that were seen
}

// NewSequence returns a Sequence for the manifest with this root.
func NewSequence(r *Root) *Sequence { return &Sequence{hash: NewVersionHash(r.Salt)} }

// AddTensors checks the next part of the tensors, to which a reference with at
// leads. All of them come before the parts of the files. Errors wrap ErrMalformed.
func (s *Sequence) AddTensors(at int64, p *TensorPart) error {
	before := int64(0)
	if s.lastTensor != nil && s.lastTensor.Name == p.Tensors[0].Name {
		before = s.sameName
	}
	if at != before {
		return malformed("%d tensors named %.100q before the part, not %d", before, p.Tensors[0].Name, at)
	}
	if s.ends == nil {
		s.ends = make(map[string]int64)
	}
	for i := range p.Tensors {
		t := &p.Tensors[i]
		if s.lastTensor != nil && t.Compare(s.lastTensor) <= 0 {
			return malformed("tensor %.100q of %q after %.100q", t.Name, t.File, s.lastTensor.Name)
		}
		if s.sameName++; s.lastTensor == nil || s.lastTensor.Name != t.Name {
			s.sameName = 1
		}
		s.lastTensor = t
		s.ends[t.File] = max(s.ends[t.File], t.At+t.Size)
	}
	return nil
}

// Add checks the next part. Errors wrap ErrMalformed.
func (s *Sequence) Add(p *Part) error {
	for i := range p.Entries {
		e := &p.Entries[i]
		if err := s.order.next(e); err != nil {
			return err
		}
		if e.At > 0 {
			continue
		}
		if end, ok := s.ends[e.Path]; ok {
			if e.Mode == Directory || end > e.Size {
				return malformed("a tensor of %q ends at %d of %d bytes", e.Path, end, e.Size)
			}
			delete(s.ends, e.Path)
		}
		if e.Mode == Directory {
			s.dirs++
		} else {
			s.files++
		}
		if s.bytes += e.Size; s.bytes > MaxBytes {
			return malformed("more than %d bytes", int64(MaxBytes))
		}
		s.hash.Add(e.Path, e.Mode, e.Size, e.SHA256)
	}
	return nil
}

// Finish checks that the parts are all that the root announces, and returns the
// version digest. Errors wrap ErrMalformed.
func (s *Sequence) Finish(r *Root) (canonical.Digest, error) {
	if s.order.open {
		return canonical.Digest{}, malformed("%q ends at %d of %d bytes", s.order.prev.Path, s.order.end, s.order.prev.Size)
	}
	if s.files != r.Files || s.dirs != r.Directories || s.bytes != r.Bytes {
		return canonical.Digest{}, malformed("%d files, %d directories and %d bytes where the root announces %d, %d and %d",
			s.files, s.dirs, s.bytes, r.Files, r.Directories, r.Bytes)
	}
	for path := range s.ends {
		return canonical.Digest{}, malformed("%q has tensors and is no file", path)
	}
	return s.hash.Sum(), nil
}
