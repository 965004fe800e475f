package modelfile

import (
	"errors"
	"math"
)

// DType is a type of elements as the format spells it, in lower case: "bf16"
// (safetensors, GGUF), "bfloat16" (ONNX), "q4_k". "unknown" is the type in ZIP
// files; a number that GGUF or ONNX does not define is "type_" and the number.
type DType string

const unknownType DType = "unknown"

// Class says what an encoder may make of the elements of a type.
type Class int

// The classes.
const (
	Unknown   Class = iota // nothing is known, not even the width
	Bool                   // a byte, zero or one
	Int                    // two's complement or unsigned, little endian
	Float8                 // eight bits with an exponent, of any kind
	Float16                // IEEE 754 binary16
	BFloat16               // the upper half of a binary32
	Float32                // IEEE 754 binary32
	Float64                // IEEE 754 binary64
	Quantised              // blocks of packed elements of less than a byte, or with scales
)

// Element returns the width in bytes of what a tensor of type d is a sequence
// of, and its class. The width is that of a block for Quantised types, that of a
// part for complex ones, and zero for Unknown. The size of a tensor that Read
// returns is a multiple of it.
func Element(d DType) (width int, class Class) {
	e := elements[d]
	if e.parts > 1 {
		return int(e.bytes / e.parts), e.class
	}
	return int(e.bytes), e.class
}

// element is the geometry of a type: so many elements take so many bytes.
type element struct {
	class Class
	count int64
	bytes int64
	parts int64 // of a complex element
}

var elements = map[DType]element{
	// safetensors (safetensors/src/tensor.rs, Dtype), in part shared with GGUF
	"bool": {Bool, 1, 1, 1}, "u8": {Int, 1, 1, 1}, "i8": {Int, 1, 1, 1}, "u16": {Int, 1, 2, 1}, "i16": {Int, 1, 2, 1},
	"u32": {Int, 1, 4, 1}, "i32": {Int, 1, 4, 1}, "u64": {Int, 1, 8, 1}, "i64": {Int, 1, 8, 1},
	"f4": {Quantised, 2, 1, 1}, "f6_e2m3": {Quantised, 4, 3, 1}, "f6_e3m2": {Quantised, 4, 3, 1},
	"f8_e5m2": {Float8, 1, 1, 1}, "f8_e4m3": {Float8, 1, 1, 1}, "f8_e8m0": {Float8, 1, 1, 1},
	"f8_e4m3fnuz": {Float8, 1, 1, 1}, "f8_e5m2fnuz": {Float8, 1, 1, 1},
	"f16": {Float16, 1, 2, 1}, "bf16": {BFloat16, 1, 2, 1}, "f32": {Float32, 1, 4, 1}, "f64": {Float64, 1, 8, 1},
	"c64": {Float32, 1, 8, 2},

	// GGUF (ggml/include/ggml.h; sizes of blocks: ggml/src/ggml-common.h)
	"q4_0": {Quantised, 32, 18, 1}, "q4_1": {Quantised, 32, 20, 1}, "q5_0": {Quantised, 32, 22, 1}, "q5_1": {Quantised, 32, 24, 1},
	"q8_0": {Quantised, 32, 34, 1}, "q8_1": {Quantised, 32, 36, 1},
	"q2_k": {Quantised, 256, 84, 1}, "q3_k": {Quantised, 256, 110, 1}, "q4_k": {Quantised, 256, 144, 1},
	"q5_k": {Quantised, 256, 176, 1}, "q6_k": {Quantised, 256, 210, 1}, "q8_k": {Quantised, 256, 292, 1},
	"iq2_xxs": {Quantised, 256, 66, 1}, "iq2_xs": {Quantised, 256, 74, 1}, "iq2_s": {Quantised, 256, 82, 1},
	"iq3_xxs": {Quantised, 256, 98, 1}, "iq3_s": {Quantised, 256, 110, 1},
	"iq1_s": {Quantised, 256, 50, 1}, "iq1_m": {Quantised, 256, 56, 1},
	"iq4_nl": {Quantised, 32, 18, 1}, "iq4_xs": {Quantised, 256, 136, 1},
	"tq1_0": {Quantised, 256, 54, 1}, "tq2_0": {Quantised, 256, 66, 1},
	"mxfp4": {Quantised, 32, 17, 1}, "nvfp4": {Quantised, 64, 36, 1}, "q1_0": {Quantised, 128, 18, 1}, "q2_0": {Quantised, 64, 18, 1},

	// ONNX (onnx/onnx.proto, TensorProto.DataType)
	"float": {Float32, 1, 4, 1}, "double": {Float64, 1, 8, 1}, "float16": {Float16, 1, 2, 1}, "bfloat16": {BFloat16, 1, 2, 1},
	"uint8": {Int, 1, 1, 1}, "int8": {Int, 1, 1, 1}, "uint16": {Int, 1, 2, 1}, "int16": {Int, 1, 2, 1},
	"uint32": {Int, 1, 4, 1}, "int32": {Int, 1, 4, 1}, "uint64": {Int, 1, 8, 1}, "int64": {Int, 1, 8, 1},
	"complex64": {Float32, 1, 8, 2}, "complex128": {Float64, 1, 16, 2},
	"float8e4m3fn": {Float8, 1, 1, 1}, "float8e4m3fnuz": {Float8, 1, 1, 1}, "float8e5m2": {Float8, 1, 1, 1}, "float8e5m2fnuz": {Float8, 1, 1, 1},
	"float8e8m0": {Float8, 1, 1, 1}, "float4e2m1": {Quantised, 2, 1, 1},
	"uint4": {Quantised, 2, 1, 1}, "int4": {Quantised, 2, 1, 1}, "uint2": {Quantised, 4, 1, 1}, "int2": {Quantised, 4, 1, 1},
}

// Why a tensor's description is refused; errors say it of a tensor.
var (
	errShape = errors.New("its shape overflows, or does not go with its type and size")
	errType  = errors.New("its type has a name that no type of the format has")
)

// elementsOf returns the product of the dimensions, which must not be negative.
func elementsOf(shape []int64) (int64, bool) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// sizeOf returns the bytes that n elements take, the last block begun counted
// whole.
func (e element) sizeOf(n int64) (int64, bool) {
	blocks := n / e.count
	if n%e.count != 0 {
		blocks++
	}
	if blocks > math.MaxInt64/e.bytes {
		return 0, false
	}
	return blocks * e.bytes, true
}
