package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
)

// statisticsBlock is what the coder takes statistics of at a time, in bytes
// (vault/FORMAT.md §7.9.1).
const statisticsBlock = 128 << 10

// entropy returns the part of a data set that a perfect code of single bytes would
// leave, the statistics of every block known to it for nothing: the entropy of
// each plane of bytes of the elements, which are of one type. A code of whole
// bits, such as Huffman's, stays above it.
func (d *dataset) entropy(t dtype) (float64, error) {
	sum := 0.0
	for _, name := range d.files {
		if !strings.HasSuffix(name, ".safetensors") {
			continue
		}
		n, err := entropyOfFile(filepath.Join(d.dir, name), int(t.size()), t != u8)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += n
	}
	return sum / float64(d.bytes), nil
}

// entropyOfFile is that of one safetensors file, in bytes, without its header.
// Elements that are numbers with an exponent are rotated left by one bit, so that
// a byte of it stands alone.
func entropyOfFile(name string, width int, rotate bool) (float64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [8]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0, err
	}
	if _, err := f.Seek(int64(binary.LittleEndian.Uint64(head[:])), io.SeekCurrent); err != nil {
		return 0, err
	}
	sum, block := 0.0, make([]byte, statisticsBlock)
	for {
		n, err := io.ReadFull(f, block)
		sum += entropyOf(block[:n], width, rotate)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return sum, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// entropyOf returns the order-0 entropy of the planes of b, in bytes.
func entropyOf(b []byte, width int, rotate bool) float64 {
	var planes [4][256]float64
	elements := len(b) / width
	for i := range elements {
		var x uint32
		for k := range width {
			x |= uint32(b[i*width+k]) << (8 * k)
		}
		switch {
		case rotate && width == 4:
			x = bits.RotateLeft32(x, 1)
		case rotate && width == 2:
			x = uint32(bits.RotateLeft16(uint16(x), 1))
		}
		for k := range width {
			planes[k][x>>(8*k)&0xff]++
		}
	}
	sum := float64(len(b) - elements*width)
	for k := range width {
		for _, n := range planes[k] {
			if n > 0 {
				sum += n * math.Log2(float64(elements)/n) / 8
			}
		}
	}
	return sum
}
