package wire

import (
	"testing"

	"github.com/aivault/aivault/backends"
)

func TestBuffers(t *testing.T) {
	var b buffers
	for _, n := range []int{0, 1, minBuffer - 1, minBuffer, minBuffer + 1, 3 << 20, 4 << 20, 16<<20 + 1, backends.MaxObject} {
		for range 2 {
			buf, release := b.get(n)
			if len(buf) != n || n >= minBuffer && cap(buf) >= 2*n && n > minBuffer {
				t.Errorf("%d bytes: length %d, capacity %d", n, len(buf), cap(buf))
			}
			release()
		}
	}
}
