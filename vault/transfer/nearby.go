package transfer

import (
	"errors"
	"sync"

	"github.com/aivault/aivault/vault/manifest"
)

const (
	// nearFiles is how many files a changed file is compared with.
	nearFiles = 3
	// patience is how many chunks in a row may be looked for in vain before only
	// every eighth is looked for.
	patience = 4
)

// nearby finds chunks of a changed file in what the destination holds: in the
// file of the same name, and in files of the same size. A chunk is looked for
// where it was, as far from there as the last one found, and as far from the end
// as it was: that finds what an insertion or a deletion moved. Every byte found
// is compared with the chunk's BLAKE3 digest.
type nearby struct {
	held  *holdings
	size  int64 // of the new file
	files []*holding

	mu     sync.Mutex
	delta  int64 // between where the last chunk is and where it was found
	missed int   // chunks in a row
}

// near returns where chunks of a changed file may be found, or nil.
func (h *holdings) near(p string, size int64) *nearby {
	if size <= smallFile {
		return nil
	}
	l := &nearby{held: h, size: size}
	if f := h.files[p]; f != nil && f.stamp.size > 0 {
		l.files = append(l.files, f)
	}
	if s := h.bySize[size]; s != nil {
		for _, f := range s.files {
			if f.path != p && len(l.files) < nearFiles {
				l.files = append(l.files, f)
			}
		}
	}
	if len(l.files) == 0 {
		return nil
	}
	return l
}

// find reads a chunk that stands at an offset of the new file into buf, as far
// into a block as it stands there. It returns nil if the chunk is not found. A
// file that cannot be read, or is not what it was, holds nothing.
func (l *nearby) find(c *manifest.Chunk, at int64, buf []byte) []byte {
	l.mu.Lock()
	delta := l.delta
	look := l.missed < patience || l.missed%8 == 0
	l.mu.Unlock()
	if look {
		for _, f := range l.files {
			tried := make(map[int64]bool, 3)
			for _, d := range []int64{delta, 0, f.stamp.size - l.size} {
				if tried[d] || at+d < 0 || at+d+c.Length > f.stamp.size {
					continue
				}
				tried[d] = true
				if data := l.read(f, c, at, at+d, buf); data != nil {
					l.mu.Lock()
					l.delta, l.missed = d, 0
					l.mu.Unlock()
					return data
				}
			}
		}
	}
	l.mu.Lock()
	l.missed++
	l.mu.Unlock()
	return nil
}

func (l *nearby) read(h *holding, c *manifest.Chunk, at, from int64, buf []byte) []byte {
	f, err := l.held.dest.open(h)
	if err != nil {
		return nil
	}
	into := at % block
	data := buf[into : into+c.Length]
	_, err = f.ReadAt(data, from)
	if err := errors.Join(err, f.Close()); err != nil || manifest.Sum(data) != c.Digest {
		return nil
	}
	return data
}
