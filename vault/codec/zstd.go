package codec

import (
	"slices"

	"github.com/klauspost/compress/zstd"
)

// zstdWindow is the largest window of a frame, in bytes.
const zstdWindow = 8 << 20

// compress appends the frame of src to dst.
func (e *Encoder) compress(dst, src []byte) []byte {
	if e.zstd == nil {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
			zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic("internal error: " + err.Error())
		}
		e.zstd = z
	}
	return e.zstd.EncodeAll(src, dst)
}

// decompress appends the content of a frame that is all of src.
func (d *Decoder) decompress(dst, src []byte, length int) ([]byte, error) {
	if err := checkFrame(src, length); err != nil {
		return dst, err
	}
	if d.zstd == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(MaxLength), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			panic("internal error: " + err.Error())
		}
		d.zstd = z
	}
	out := slices.Grow(dst, length)
	out, err := d.zstd.DecodeAll(src, out[:len(dst):len(dst)+length])
	if err != nil {
		return dst, corrupt("zstd: %v", err)
	}
	if len(out) != len(dst)+length {
		return dst, corrupt("zstd: %d bytes for %d", len(out)-len(dst), length)
	}
	return out, nil
}

// checkFrame finds out, without decoding, that src is one frame (RFC 8878, 3.1.1)
// that declares length bytes and a window within the limit, asks for no
// dictionary, and ends where src does.
func checkFrame(src []byte, length int) error {
	var h zstd.Header
	rest, err := h.DecodeAndStrip(src)
	switch {
	case err != nil:
		return corrupt("zstd: %v", err)
	case h.Skippable || h.DictionaryID != 0:
		return corrupt("zstd: no frame, or one that needs a dictionary")
	case !h.HasFCS || h.FrameContentSize != uint64(length):
		return corrupt("zstd: a frame of %d bytes for %d", h.FrameContentSize, length)
	case h.SingleSegment && length > zstdWindow, h.WindowSize > zstdWindow:
		return corrupt("zstd: a window of more than %d bytes", zstdWindow)
	}
	for last := false; !last; {
		if len(rest) < 3 {
			return corrupt("zstd: a block is cut short")
		}
		header := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16
		size := header >> 3
		const rle = 1
		if header>>1&3 == rle {
			size = 1
		}
		if size > len(rest)-3 {
			return corrupt("zstd: a block is cut short")
		}
		last, rest = header&1 != 0, rest[3+size:]
	}
	if h.HasCheckSum && len(rest) != 4 || !h.HasCheckSum && len(rest) != 0 {
		return corrupt("zstd: more than one frame")
	}
	return nil
}
