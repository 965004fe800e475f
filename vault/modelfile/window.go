package modelfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A window reads least after a jump, and twice as much each time that it goes on
// from there: headers are read in large pieces, tensors jumped over cost little.
const (
	leastRead = 4 << 10
	mostRead  = 64 << 10
)

// window is a file read forwards through a buffer, with jumps.
type window struct {
	r      io.ReaderAt
	size   int64 // of the file
	pos    int64
	at     int64  // where buf stands in the file
	buf    []byte // at most mostRead long
	read   int    // length of the last read
	parsed int64  // bytes taken
}

func newWindow(r io.ReaderAt, size int64) *window {
	return &window{r: r, size: max(size, 0)}
}

// full reads len(p) bytes, which must stand inside of the file.
func (w *window) full(p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	n, err := w.r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the file is shorter than the caller said
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
}

func (w *window) ended() error {
	return malformed("the file ends inside of what starts at byte %d", w.pos)
}

// peek returns the next n bytes, n being at most mostRead. They are valid until
// the next call.
func (w *window) peek(n int) ([]byte, error) {
	if int64(n) > w.size-w.pos {
		return nil, w.ended()
	}
	held := int64(len(w.buf))
	if off := w.pos - w.at; off >= 0 && off <= held && int64(n) <= held-off {
		return w.buf[off:][:n], nil
	}
	if onwards := w.pos >= w.at && w.pos <= w.at+held && held > 0; onwards {
		w.read = min(2*w.read, mostRead)
	} else {
		w.read = leastRead
	}
	length := int(min(int64(max(w.read, n)), w.size-w.pos))
	if cap(w.buf) < length {
		w.buf = make([]byte, length)
	}
	w.buf, w.at = w.buf[:length], w.pos
	if err := w.full(w.buf, w.at); err != nil {
		w.buf = w.buf[:0]
		return nil, err
	}
	return w.buf[:n], nil
}

// peekUpTo is peek that returns less at the end of the file.
func (w *window) peekUpTo(n int) ([]byte, error) {
	return w.peek(int(max(0, min(int64(n), w.size-w.pos))))
}

// take is peek that goes on.
func (w *window) take(n int) ([]byte, error) {
	if w.parsed += int64(n); w.parsed > MaxHeader {
		return nil, malformed("more than %d bytes of header at byte %d", MaxHeader, w.pos)
	}
	b, err := w.peek(n)
	if err != nil {
		return nil, err
	}
	w.pos += int64(n)
	return b, nil
}

func (w *window) skip(n uint64) error {
	if n > uint64(w.size-w.pos) {
		return w.ended()
	}
	w.pos += int64(n)
	return nil
}

func (w *window) uint32() (uint32, error) {
	b, err := w.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (w *window) uint64() (uint64, error) {
	b, err := w.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}
