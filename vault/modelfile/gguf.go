package modelfile

import (
	"math"
	"slices"
	"strconv"
)

const ggufMagic = "GGUF"

const (
	ggufDims      = 8        // ggml has 4
	ggufPairs     = 65_536   // metadata keys of a file; models have some dozens
	ggufKey       = 65_535   // bytes, as the specification says
	ggufString    = 1 << 20  // bytes of a string in an array: a token of a vocabulary
	ggufText      = 64 << 20 // bytes of a value of its own, which may be a whole tokenizer.json
	ggufElements  = 4 << 20  // strings or arrays in an array; vocabularies have some hundred thousand
	ggufNesting   = 2        // arrays in arrays
	ggufAlignment = 32       // unless the file says otherwise
	maxAlignment  = 1 << 20
	// leastTensor is what the shortest description of a tensor takes: a name of
	// no bytes, the number of dimensions, the type, the offset.
	leastTensor = 8 + 4 + 4 + 8
	leastPair   = 8 + 4 + 1
)

// Types of metadata values.
const (
	ggufBool       = 7
	ggufUint32     = 4
	ggufStringType = 8
	ggufArray      = 9
)

// ggufWidths has the bytes of the values of a fixed width, by type.
var ggufWidths = [...]uint64{1, 1, 2, 2, 4, 4, 4, ggufBool: 1, ggufStringType: 0, ggufArray: 0, 8, 8, 8}

// ggmlTypes has the types of tensors by their number (ggml/include/ggml.h). Those
// that were removed have no size any more.
var ggmlTypes = map[uint32]DType{
	0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1",
	10: "q2_k", 11: "q3_k", 12: "q4_k", 13: "q5_k", 14: "q6_k", 15: "q8_k",
	16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s", 20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs",
	24: "i8", 25: "i16", 26: "i32", 27: "i64", 28: "f64", 29: "iq1_m", 30: "bf16",
	34: "tq1_0", 35: "tq2_0", 39: "mxfp4", 40: "nvfp4", 41: "q1_0", 42: "q2_0",
}

// ggufFile is a GGUF file, version 2 or 3, little endian, in reading
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Metadata is
// skipped; only its keys are held.
type ggufFile struct {
	w         *window
	alignment uint64
	tensors   builder
}

func readGGUF(w *window) (*Layout, error) {
	g := &ggufFile{w: w, alignment: ggufAlignment, tensors: builder{size: w.size}}
	tensors, pairs, err := g.counts()
	if err != nil {
		return nil, err
	}
	if err := g.metadata(pairs); err != nil {
		return nil, err
	}
	for range tensors {
		if err := g.tensor(); err != nil {
			return nil, err
		}
	}
	data := uint64(w.pos)
	if tensors > 0 {
		data = (data + g.alignment - 1) &^ (g.alignment - 1)
	}
	if data > uint64(w.size) {
		return nil, w.ended()
	}
	all, err := g.place(int64(data))
	if err != nil {
		return nil, err
	}
	return layout(GGUF, int64(data), all)
}

// counts reads the fixed start of the file.
func (g *ggufFile) counts() (tensors, pairs uint64, err error) {
	if err := g.w.skip(uint64(len(ggufMagic))); err != nil {
		return 0, 0, err
	}
	version, err := g.w.uint32()
	switch {
	case err != nil:
		return 0, 0, err
	case version&0xffff == 0:
		return 0, 0, malformed("GGUF in big endian order is not supported")
	case version == 1:
		return 0, 0, malformed("GGUF version 1 is not supported")
	case version > 3:
		return 0, 0, malformed("GGUF version %d is not known", version)
	}
	if tensors, err = g.w.uint64(); err != nil {
		return 0, 0, err
	}
	if pairs, err = g.w.uint64(); err != nil {
		return 0, 0, err
	}
	left := uint64(g.w.size - g.w.pos)
	if tensors > MaxTensors || tensors > left/leastTensor {
		return 0, 0, malformed("%d tensors in a file of %d bytes: at most %d are possible", tensors, g.w.size, MaxTensors)
	}
	if pairs > ggufPairs || pairs > left/leastPair {
		return 0, 0, malformed("%d metadata keys in a file of %d bytes: at most %d are possible", pairs, g.w.size, ggufPairs)
	}
	return tensors, pairs, nil
}

func (g *ggufFile) metadata(pairs uint64) error {
	seen := map[string]bool{}
	for range pairs {
		key, err := g.string(ggufKey)
		if err != nil {
			return err
		}
		if seen[key] || key == "" {
			return malformed("the metadata key %.100q before byte %d comes twice or is empty", key, g.w.pos)
		}
		seen[key] = true
		typ, err := g.w.uint32()
		if err != nil {
			return err
		}
		if key == "general.alignment" {
			err = g.align(typ)
		} else {
			err = g.value(typ, ggufText, 0)
		}
		if err != nil {
			return err
		}
		if err := g.checkHeader(); err != nil {
			return err
		}
	}
	return nil
}

func (g *ggufFile) checkHeader() error {
	if g.w.pos > MaxHeader {
		return malformed("the header does not end within %d bytes", MaxHeader)
	}
	return nil
}

func (g *ggufFile) align(typ uint32) error {
	if typ != ggufUint32 {
		return malformed("the alignment at byte %d is no 32-bit number", g.w.pos)
	}
	v, err := g.w.uint32()
	if err != nil {
		return err
	}
	if v == 0 || v&(v-1) != 0 || v > maxAlignment {
		return malformed("an alignment of %d, where powers of two up to %d are possible", v, maxAlignment)
	}
	g.alignment = uint64(v)
	return nil
}

// value skips a metadata value. A string in it may have longest bytes.
func (g *ggufFile) value(typ uint32, longest uint64, depth int) error {
	switch {
	case typ == ggufStringType:
		return g.skipString(longest)
	case typ == ggufArray:
		return g.array(depth + 1)
	case typ < uint32(len(ggufWidths)):
		return g.w.skip(ggufWidths[typ])
	}
	return malformed("a metadata value of the unknown type %d before byte %d", typ, g.w.pos)
}

func (g *ggufFile) array(depth int) error {
	if depth > ggufNesting {
		return malformed("arrays nest deeper than %d at byte %d", ggufNesting, g.w.pos)
	}
	typ, err := g.w.uint32()
	if err != nil {
		return err
	}
	count, err := g.w.uint64()
	if err != nil {
		return err
	}
	left := uint64(g.w.size - g.w.pos)
	least := uint64(8) // an empty string
	switch {
	case typ == ggufArray:
		least = 4 + 8
	case typ < uint32(len(ggufWidths)) && typ != ggufStringType:
		if count > left/ggufWidths[typ] {
			return malformed("an array of %d elements at byte %d does not end in the file", count, g.w.pos)
		}
		return g.w.skip(count * ggufWidths[typ])
	}
	if count > left/least || count > ggufElements {
		return malformed("an array of %d elements at byte %d does not end in the file, or has more than %d", count, g.w.pos, ggufElements)
	}
	for range count {
		if err := g.value(typ, ggufString, depth); err != nil {
			return err
		}
		if err := g.checkHeader(); err != nil {
			return err
		}
	}
	return nil
}

func (g *ggufFile) skipString(longest uint64) error {
	n, err := g.w.uint64()
	if err != nil {
		return err
	}
	if n > longest {
		return malformed("a string of %d bytes at byte %d: at most %d are possible", n, g.w.pos, longest)
	}
	return g.w.skip(n)
}

// string reads a string of at most longest bytes, which must not be above mostRead.
func (g *ggufFile) string(longest uint64) (string, error) {
	n, err := g.w.uint64()
	if err != nil {
		return "", err
	}
	if n > longest {
		return "", malformed("a string of %d bytes at byte %d: at most %d are possible", n, g.w.pos, longest)
	}
	b, err := g.w.take(int(n))
	return string(b), err
}

// tensor reads a tensor's description. Its offset counts from the data, which is
// found only after the last; its size is that of its shape, and math.MaxInt64
// where the type is not known.
func (g *ggufFile) tensor() error {
	name, err := g.string(MaxName)
	if err != nil {
		return err
	}
	if err := checkName(name); err != nil {
		return err
	}
	dims, err := g.w.uint32()
	if err != nil {
		return err
	}
	if dims > ggufDims {
		return malformed("tensor %.100q has %d dimensions: at most %d are possible", name, dims, ggufDims)
	}
	t := Tensor{Name: name, Shape: make([]int64, dims)}
	for i := range t.Shape {
		v, err := g.w.uint64()
		if err != nil {
			return err
		}
		t.Shape[i] = int64(v) // below zero is refused with the type
	}
	typ, err := g.w.uint32()
	if err != nil {
		return err
	}
	offset, err := g.w.uint64()
	if err != nil {
		return err
	}
	if offset > uint64(g.w.size) || offset%g.alignment != 0 {
		return malformed("tensor %.100q starts at byte %d of the data, outside of the file or not aligned to %d", name, offset, g.alignment)
	}
	t.Offset = int64(offset)
	if t.DType, t.Size, err = ggufType(typ, t.Shape); err != nil {
		return malformed("tensor %.100q: %w", name, err)
	}
	if err := g.tensors.put(t); err != nil {
		return err
	}
	return g.checkHeader()
}

func ggufType(typ uint32, shape []int64) (DType, int64, error) {
	n, ok := elementsOf(shape)
	if !ok {
		return "", 0, errShape
	}
	d, known := ggmlTypes[typ]
	if !known {
		return DType("type_" + strconv.FormatUint(uint64(typ), 10)), math.MaxInt64, nil
	}
	e := elements[d]
	row := int64(1)
	if len(shape) > 0 {
		row = shape[0]
	}
	size, ok := e.sizeOf(n)
	if !ok || row%e.count != 0 {
		return "", 0, errShape
	}
	return d, size, nil
}

// place returns the tensors where they stand in the file. One of a type that is
// not known extends to the next, or to the end.
func (g *ggufFile) place(data int64) ([]Tensor, error) {
	all := g.tensors.take()
	next := g.w.size - data
	for i := range slices.Backward(all) {
		t := &all[i]
		if t.Size == math.MaxInt64 {
			t.Size = max(next-t.Offset, 0)
		}
		next = t.Offset
		t.Offset += data
		if err := checkPlace(*t, g.w.size); err != nil {
			return nil, err
		}
	}
	return all, nil
}
