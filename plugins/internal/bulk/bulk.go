// Package bulk carries the bytes of objects between aivault and a plugin beside
// gRPC, over a local socket that has no file: plugins/PROTOCOL.md §5. One
// connection is one transfer. It begins with a token that the plugin gave out for
// it, and then has frames one way: the length of what follows as four bytes, most
// significant first, and so many bytes. A frame of length 0 is the end.
//
// Memory is bounded by one frame a side; who sends faster than the other reads
// waits for the socket.
package bulk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

const (
	// MaxFrame is the largest frame, in bytes without its length.
	MaxFrame = 1 << 20
	// TokenSize is the length of a token, in bytes.
	TokenSize = 32

	headerSize = 4
	sendFrame  = 256 << 10 // what a sender puts into a frame
)

// ErrFrame: what came is not a transfer of the length that was announced.
var ErrFrame = errors.New("malformed transfer")

// Sender cuts what is written to it into frames.
type Sender struct{ w io.Writer }

// NewSender returns a sender to w, which is best a socket: length and bytes of a
// frame then leave in one call.
func NewSender(w io.Writer) *Sender { return &Sender{w} }

// Write implements [io.Writer].
func (s *Sender) Write(p []byte) (int, error) {
	sent := 0
	for len(p) > 0 {
		n := min(len(p), sendFrame)
		header := binary.BigEndian.AppendUint32(make([]byte, 0, headerSize), uint32(n))
		frame := net.Buffers{header, p[:n]}
		if _, err := frame.WriteTo(s.w); err != nil {
			return sent, err
		}
		sent, p = sent+n, p[n:]
	}
	return sent, nil
}

// End writes the frame that says that nothing is missing.
func (s *Sender) End() error {
	_, err := s.w.Write(make([]byte, headerSize))
	return err
}

// Receiver reads the bytes of one transfer.
type Receiver struct {
	r     io.Reader
	left  int64 // bytes that are still to come
	frame int64 // of them, in this frame
	err   error // once nothing more can come
}

// NewReceiver returns a receiver of exactly n bytes. More or fewer, and a frame
// that is too large, are ErrFrame; a connection that ends before its last frame
// is [io.ErrUnexpectedEOF].
func NewReceiver(r io.Reader, n int64) *Receiver { return &Receiver{r: r, left: n} }

// Read implements [io.Reader]. It returns [io.EOF] only after the frame that
// ends the transfer.
func (r *Receiver) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.frame == 0 {
		if r.err = r.next(); r.err != nil {
			return 0, r.err
		}
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.frame)])
	r.frame, r.left = r.frame-int64(n), r.left-int64(n)
	if err != nil {
		r.err = cutOff(err)
		if n > 0 {
			return n, nil
		}
	}
	return n, r.err
}

// next reads the length of a frame.
func (r *Receiver) next() error {
	var header [headerSize]byte
	if _, err := io.ReadFull(r.r, header[:]); err != nil {
		return cutOff(err)
	}
	n := int64(binary.BigEndian.Uint32(header[:]))
	switch {
	case n == 0 && r.left == 0:
		return io.EOF
	case n == 0:
		return fmt.Errorf("%w: it ends, and %d bytes are missing", ErrFrame, r.left)
	case n > MaxFrame:
		return fmt.Errorf("%w: a frame of %d bytes", ErrFrame, n)
	case n > r.left:
		return fmt.Errorf("%w: a frame of %d bytes where %d were to come", ErrFrame, n, r.left)
	}
	r.frame = n
	return nil
}

// cutOff makes the end of a connection within a transfer an error.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
