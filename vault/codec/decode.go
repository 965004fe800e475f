package codec

import (
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Decoder decodes chunks. It takes at most 16 MiB, and 1 MiB as long as it meets
// no zstd. It is not safe for concurrent use.
type Decoder struct {
	block blockDecoder
	zstd  *zstd.Decoder // made when first needed
}

// NewDecoder returns a decoder.
func NewDecoder() *Decoder { return new(Decoder) }

// Decode appends to dst the plaintext of src, exactly length bytes, or fails
// with ErrCorrupt or ErrUnknown and returns dst as it was; bytes beyond its
// length are then undefined. src may be hostile: nothing is written beyond
// length, at most length bytes and what a decoder takes are allocated, and
// nothing before the lengths in src are found to fit.
func (d *Decoder) Decode(dst, src []byte, name string, length int) ([]byte, error) {
	if !Known(name) {
		return dst, unknown(name)
	}
	if length < 0 || length > MaxLength {
		return dst, corrupt("a plaintext of %d bytes", length)
	}
	if name == None {
		if len(src) != length {
			return dst, corrupt("%d bytes for %d", len(src), length)
		}
		return append(dst, src...), nil
	}
	if len(src) >= length {
		return dst, corrupt("%d bytes encode %d", len(src), length)
	}
	if name == zstd1 {
		return d.decompress(dst, src, length)
	}
	if err := d.planes(nil, src, length); err != nil {
		return dst, err
	}
	out := slices.Grow(dst, length)[:len(dst)+length]
	if err := d.planes(out[len(dst):], src, length); err != nil {
		return dst, err
	}
	return out, nil
}

// planes decodes the blocks of src to dst, or with a nil dst finds out whether
// they are what length bytes need.
func (d *Decoder) planes(dst, src []byte, length int) error {
	for at := 0; at < length; {
		if len(src) == 0 {
			return corrupt("blocks for %d of %d bytes", at, length)
		}
		t, size, frame, ok := parseHeader(src[0])
		if !ok {
			return corrupt("a block that begins with %#x", src[0])
		}
		n := min(length-at, size)
		var block []byte
		if dst != nil {
			block = dst[at : at+n : at+n]
		}
		var err error
		if frame {
			src, err = d.frame(block, src[1:], n)
		} else {
			src, err = d.block.decode(block, src[1:], n, t)
		}
		if err != nil {
			return err
		}
		at += n
	}
	if len(src) > 0 {
		return corrupt("%d bytes after the last block", len(src))
	}
	return nil
}

// frame decodes a block of n bytes that is a frame, as planes does.
func (d *Decoder) frame(dst, src []byte, n int) (rest []byte, err error) {
	if len(src) < frameHeader {
		return nil, corrupt("a block is cut short")
	}
	size := int(src[0]) | int(src[1])<<8 | int(src[2])<<16
	src = src[frameHeader:]
	if size > len(src) {
		return nil, corrupt("a block is cut short")
	}
	if dst == nil {
		return src[size:], checkFrame(src[:size], n)
	}
	_, err = d.decompress(dst[:0], src[:size], n)
	return src[size:], err
}
