package modelfiletest

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

func ggufTypes() []Type {
	return []Type{
		{"f32", 0, 1, 4}, {"f16", 1, 1, 2}, {"q4_0", 2, 32, 2 + 16}, {"q4_1", 3, 32, 2 + 2 + 16}, {"q5_0", 6, 32, 2 + 4 + 16},
		{"q5_1", 7, 32, 2 + 2 + 4 + 16}, {"q8_0", 8, 32, 2 + 32}, {"q8_1", 9, 32, 2 + 2 + 32},
		{"q2_k", 10, 256, 2 + 2 + 256/16 + 256/4}, {"q3_k", 11, 256, 2 + 256/4 + 256/8 + 12}, {"q4_k", 12, 256, 2 + 2 + 256/2 + 12},
		{"q5_k", 13, 256, 2 + 2 + 256/2 + 256/8 + 12}, {"q6_k", 14, 256, 2 + 256/2 + 256/4 + 256/16}, {"q8_k", 15, 256, 4 + 256 + 256/8},
		{"iq2_xxs", 16, 256, 2 + 256/4}, {"iq2_xs", 17, 256, 2 + 256/4 + 256/32}, {"iq3_xxs", 18, 256, 2 + 256/4 + 256/8},
		{"iq1_s", 19, 256, 2 + 256/8 + 256/16}, {"iq4_nl", 20, 32, 2 + 16}, {"iq3_s", 21, 256, 2 + 256/4 + 256/8 + 256/32 + 4},
		{"iq2_s", 22, 256, 2 + 256/4 + 256/16}, {"iq4_xs", 23, 256, 2 + 2 + 256/2 + 256/64}, {"i8", 24, 1, 1}, {"i16", 25, 1, 2},
		{"i32", 26, 1, 4}, {"i64", 27, 1, 8}, {"f64", 28, 1, 8}, {"iq1_m", 29, 256, 256/8 + 256/16 + 256/32}, {"bf16", 30, 1, 2},
		{"tq1_0", 34, 256, 2 + 4*13}, {"tq2_0", 35, 256, 2 + 64}, {"mxfp4", 39, 32, 1 + 16}, {"nvfp4", 40, 64, 4 + 32},
		{"q1_0", 41, 128, 2 + 16}, {"q2_0", 42, 64, 2 + 16},
	}
}

// Numbers of metadata types.
const (
	ggufU8     = 0
	ggufU32    = 4
	ggufF32    = 6
	ggufString = 8
	ggufArray  = 9
	ggufU64    = 10
)

// ggufHeader writes the parts of a header.
type ggufHeader struct{ bytes.Buffer }

func (h *ggufHeader) u32(v uint32) *ggufHeader {
	h.Write(binary.LittleEndian.AppendUint32(nil, v))
	return h
}

func (h *ggufHeader) u64(v uint64) *ggufHeader {
	h.Write(binary.LittleEndian.AppendUint64(nil, v))
	return h
}

func (h *ggufHeader) str(s string) *ggufHeader {
	h.u64(uint64(len(s))).WriteString(s)
	return h
}

func (h *ggufHeader) start(version uint32, tensors, pairs uint64) *ggufHeader {
	h.WriteString("GGUF")
	return h.u32(version).u64(tensors).u64(pairs)
}

func (h *ggufHeader) tensor(t Tensor, offset uint64) *ggufHeader {
	h.str(t.Name).u32(uint32(len(t.Shape)))
	for _, d := range t.Shape {
		h.u64(uint64(d))
	}
	return h.u32(ggufID(t.DType)).u64(offset)
}

// ggufID returns the number of a type, that of "type_99" being 99.
func ggufID(dtype string) uint32 {
	for _, t := range ggufTypes() {
		if t.Name == dtype {
			return t.ID
		}
	}
	n, _ := strconv.ParseUint(strings.TrimPrefix(dtype, "type_"), 10, 32)
	return uint32(n)
}

// GGUF writes a GGUF file of version 3 with metadata of every kind, a vocabulary
// among it, and an alignment of 64.
func GGUF(tensors ...Tensor) []byte { return GGUFVersion(3, tensors...) }

// GGUFVersion writes a file of another version, of which 2 differs by nothing
// but its number.
func GGUFVersion(version uint32, tensors ...Tensor) []byte {
	h := new(ggufHeader).start(version, uint64(len(tensors)), 7)
	h.str("general.architecture").u32(ggufString).str("llama")
	h.str("general.alignment").u32(ggufU32).u32(64)
	h.str("llama.rope.freq_base").u32(ggufF32).u32(0x461c4000)
	h.str("tokenizer.ggml.tokens").u32(ggufArray).u32(ggufString).u64(300)
	for i := range 300 {
		h.str("token" + strconv.Itoa(i))
	}
	h.str("tokenizer.ggml.scores").u32(ggufArray).u32(ggufF32).u64(300).Write(make([]byte, 4*300))
	h.str("general.nested").u32(ggufArray).u32(ggufArray).u64(2).u32(ggufU8).u64(3).Write([]byte{1, 2, 3})
	h.u32(ggufU64).u64(1).u64(1)
	h.str("general.file_type").u32(ggufU32).u32(1)
	return ggufFile(h, 64, tensors)
}

// ggufFile adds the descriptions of tensors and their data.
func ggufFile(h *ggufHeader, alignment int, tensors []Tensor) []byte {
	var data []byte
	for _, t := range tensors {
		data = append(data, make([]byte, -len(data)&(alignment-1))...)
		h.tensor(t, uint64(len(data)))
		data = append(data, t.Data...)
	}
	h.Write(make([]byte, -h.Len()&(alignment-1)))
	return append(h.Bytes(), data...)
}
