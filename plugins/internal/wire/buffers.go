package wire

import (
	"math/bits"
	"sync"

	"github.com/aivault/aivault/backends"
)

const (
	minBuffer = 1 << 20 // smaller ones are not worth keeping
	classes   = 6       // 1, 2, 4, 8, 16 and 32 MiB
)

// buffers keeps memory for bodies between calls: that of a new one is cleared page
// by page, which costs about as much as carrying the bytes. The zero value is ready.
type buffers [classes]sync.Pool

// class is the index of the smallest class that has room for n bytes.
func class(n int) int { return bits.Len(uint(max(n, minBuffer)-1)) - bits.Len(uint(minBuffer-1)) }

// get returns n bytes of any content, and how to give them back.
func (b *buffers) get(n int) (buf []byte, release func()) {
	if n < minBuffer || n > backends.MaxObject {
		return make([]byte, n), func() {}
	}
	c := class(n)
	p, ok := b[c].Get().(*[]byte)
	if !ok {
		p = new(make([]byte, minBuffer<<c))
	}
	return (*p)[:n], func() { b[c].Put(p) }
}
