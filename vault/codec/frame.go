package codec

// blockDecoder decodes blocks. It takes 150 KiB.
type blockDecoder struct {
	table   table
	scratch [largeBlock]byte // planes that are not raw
}

// frame is where a plane of an encoded block stands.
type frame struct {
	mode    byte
	bytes   []byte // raw: the plane; constant: one byte; Huffman: the streams and all that follows
	lengths lengths
	begin   [streams]int // where in bytes each stream begins
	end     int          // and where the last one ends
}

// decode fills dst with the plaintext of a block under t, which stands after the
// first byte at the beginning of src, and returns what follows it. With a nil
// dst it only finds the planes of a block of n bytes: so nothing is decoded of
// what is cut short, or too long.
func (d *blockDecoder) decode(dst, src []byte, n int, t transform) (rest []byte, err error) {
	head, elements, tail := t.parts(n)
	if len(src) < head+tail {
		return nil, corrupt("a block is cut short")
	}
	ends := src
	src = src[head+tail:]
	if dst != nil {
		copy(dst, ends[:head])
		copy(dst[n-tail:], ends[head:head+tail])
	}
	if elements == 0 {
		return src, nil
	}
	var p [8][]byte
	for k := range t.width {
		var f frame
		if f, src, err = next(src, elements); err != nil {
			return nil, err
		}
		if dst == nil {
			continue
		}
		into := d.scratch[k*elements:][:elements]
		if t.width == 1 {
			into = dst[head : head+elements]
		}
		if p[k], err = d.plane(into, &f); err != nil {
			return nil, err
		}
	}
	if dst != nil {
		t.join(dst[head:n-tail], &p)
	}
	return src, nil
}

// plane returns the plane of a frame: where it stands, or decoded to dst.
func (d *blockDecoder) plane(dst []byte, f *frame) ([]byte, error) {
	switch f.mode {
	case modeConstant:
		for i := range dst {
			dst[i] = f.bytes[0]
		}
	case modeHuffman:
		d.table.use(&f.lengths)
		if !d.table.decode(dst, f.bytes, f.begin, f.end) {
			return nil, corrupt("a stream does not end where it should")
		}
	default:
		return f.bytes, nil
	}
	return dst, nil
}

// next returns the frame of a plane of n symbols that src begins with, and what
// follows it.
func next(src []byte, n int) (f frame, rest []byte, err error) {
	if len(src) < 2 {
		return f, nil, corrupt("a plane is cut short")
	}
	f.mode, src = src[0], src[1:]
	switch f.mode {
	case modeRaw:
		if len(src) < n {
			return f, nil, corrupt("a raw plane is cut short")
		}
		f.bytes, rest = src[:n], src[n:]
	case modeConstant:
		f.bytes, rest = src[:1], src[1:]
	case modeHuffman:
		rest, err = f.huffman(src)
	default:
		err = corrupt("a plane of mode %d", f.mode)
	}
	return f, rest, err
}

// huffman reads what stands before the streams, and finds their ends.
func (f *frame) huffman(src []byte) (rest []byte, err error) {
	if len(src) < 2 {
		return nil, corrupt("a code is cut short")
	}
	first, last := int(src[0]), int(src[1])
	if first >= last || len(src) < 2+(last-first)/2+1+streamHeader {
		return nil, corrupt("a code is cut short, or of no symbols")
	}
	src = src[2:]
	for s := first; s <= last; s++ {
		f.lengths[s] = src[(s-first)/2] >> ((s - first) & 1 * 4) & 15
		if f.lengths[s] > maxBits {
			return nil, corrupt("a code of %d bits", f.lengths[s])
		}
	}
	if (last-first)&1 == 0 && src[(last-first)/2]>>4 != 0 || f.lengths[first] == 0 || f.lengths[last] == 0 || !f.lengths.complete() {
		return nil, corrupt("a code that is none")
	}
	src = src[(last-first)/2+1:]
	f.bytes = src[streamHeader:]
	for k := range streams {
		f.begin[k] = f.end
		f.end += int(src[3*k]) | int(src[3*k+1])<<8 | int(src[3*k+2])<<16
	}
	if f.end > len(f.bytes) {
		return nil, corrupt("a stream is cut short")
	}
	return f.bytes[f.end:], nil
}
