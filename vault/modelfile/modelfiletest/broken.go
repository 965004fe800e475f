package modelfiletest

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Case is a broken file.
type Case struct {
	Name  string // with the extension of the format that it claims to be of
	Bytes []byte
}

// Broken returns bombs, broken headers and cut files of every format, about 6 MB
// of them. A reader must refuse each: by its name as malformed, and without a
// name at least not accept it.
func Broken() []Case {
	var cases []Case
	for _, format := range Formats() {
		whole, least := smallest(format), 0
		if format == "torch-zip" {
			least = 4 // what does not start like a ZIP file claims nothing, whatever its name
		}
		for n := least; n < len(whole); n++ {
			cases = append(cases, Case{fmt.Sprintf("cut off at %d%s", n, Extension(format)), whole[:n:n]})
		}
	}
	for extension, broken := range map[string]map[string][]byte{
		".safetensors": brokenSafetensors(), ".gguf": brokenGGUF(), ".onnx": brokenONNX(), ".pt": brokenTorch(),
	} {
		for name, b := range broken {
			cases = append(cases, Case{name + extension, b})
		}
	}
	return cases
}

// smallest writes a file of two tensors that is broken wherever it is cut off.
func smallest(format string) []byte {
	tensors := []Tensor{{"a", "f32", []int64{2, 4}, Noise(1, 32)}, {"b", "bf16", []int64{16}, Noise(2, 32)}}
	switch format {
	case "gguf":
		h := new(ggufHeader).start(3, 2, 1).str("general.architecture").u32(ggufString).str("llama")
		return ggufFile(h, 32, tensors)
	case "onnx":
		tensors[0].DType, tensors[1].DType = "float", "bfloat16"
	case "torch-zip":
		tensors[0].Name, tensors[1].Name = "archive/data/0", "archive/data/1"
	}
	return Write(format, tensors...)
}

func brokenSafetensors() map[string][]byte {
	const a = `"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}`
	data := Noise(1, 8)
	// entry writes a file with one tensor, of these bytes.
	entry := func(dtype, shape string, begin, end string, data []byte) []byte {
		return safetensorsFile(fmt.Sprintf(`{"a":{"dtype":%s,"shape":%s,"data_offsets":[%s,%s]}}`, dtype, shape, begin, end), data)
	}
	length := func(n uint64) []byte {
		b := safetensorsFile(`{`+a+`}`, data[:4])
		binary.LittleEndian.PutUint64(b, n)
		return b
	}
	return map[string][]byte{
		"header longer than the file": length(1000),
		"header of 100 MB and 1":      length(100_000_001),
		"header of 2^63":              length(1 << 63),
		"header of 2^64-1":            length(math.MaxUint64),
		"header of nothing":           length(0),
		"starts with a space":         safetensorsFile(` {`+a+`}`, data[:4]),
		"an array":                    safetensorsFile(`[]`, nil),
		"no JSON":                     safetensorsFile(`{`+a, data[:4]),
		"trailing comma":              safetensorsFile(`{`+a+`,}`, data[:4]),
		"two objects":                 safetensorsFile(`{`+a+`}{}`, data[:4]),
		"NUL behind the header":       safetensorsFile(`{`+a+"}\x00", data[:4]),
		"not UTF-8":                   safetensorsFile(`{`+strings.Replace(a, `"a"`, "\"\xff\"", 1)+`}`, data[:4]),
		"deep nesting":                safetensorsFile(strings.Repeat(`{"a":`, 100_000), nil),
		"deep arrays":                 entry(`"U8"`, strings.Repeat("[", 100_000), "0", "4", data[:4]),
		"deep metadata":               safetensorsFile(`{"__metadata__":{"a":`+strings.Repeat(`{"a":`, 100_000), nil),

		"duplicate tensor":          safetensorsFile(`{`+a+`,`+a+`}`, data[:4]),
		"duplicate empty tensor":    safetensorsFile(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, nil),
		"duplicate tensor, escaped": safetensorsFile(`{`+a+`,`+strings.Replace(strings.Replace(a, `"a"`, `"\u0061"`, 1), "[0,4]", "[4,8]", 1)+`}`, data),
		"duplicate metadata":        safetensorsFile(`{"__metadata__":{},`+a+`,"__metadata__":{}}`, data[:4]),
		"duplicate key of metadata": safetensorsFile(`{"__metadata__":{"x":"1","x":"2"},`+a+`}`, data[:4]),
		"duplicate dtype":           safetensorsFile(`{"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, data[:4]),
		"duplicate shape":           safetensorsFile(`{"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}}`, data[:4]),
		"duplicate offsets":         safetensorsFile(`{"a":{"dtype":"U8","data_offsets":[0,4],"shape":[4],"data_offsets":[0,4]}}`, data[:4]),
		"metadata of numbers":       safetensorsFile(`{"__metadata__":{"x":1},`+a+`}`, data[:4]),
		"metadata null":             safetensorsFile(`{"__metadata__":null,`+a+`}`, data[:4]),
		"unknown field":             safetensorsFile(strings.Replace(`{`+a+`}`, `"shape"`, `"x":1,"shape"`, 1), data[:4]),
		"no dtype":                  safetensorsFile(strings.Replace(`{`+a+`}`, `"dtype":"U8",`, ``, 1), data[:4]),
		"no shape":                  safetensorsFile(strings.Replace(`{`+a+`}`, `"shape":[4],`, ``, 1), data[:4]),
		"no offsets":                safetensorsFile(strings.Replace(`{`+a+`}`, `,"data_offsets":[0,4]`, ``, 1), data[:4]),
		"a tensor of null":          safetensorsFile(`{"a":null}`, nil),
		"name of 4 KiB and 1":       safetensorsFile(strings.Replace(`{`+a+`}`, "a", strings.Repeat("a", 4097), 1), data[:4]),

		"dtype a number":         entry(`1`, `[4]`, "0", "4", data[:4]),
		"dtype of nothing":       entry(`""`, `[4]`, "0", "4", data[:4]),
		"dtype in lower case":    entry(`"u8"`, `[4]`, "0", "4", data[:4]),
		"dtype of GGUF":          entry(`"Q4_0"`, `[32]`, "0", "4", data[:4]),
		"dtype of odd bytes":     entry(`"U8\u0000"`, `[4]`, "0", "4", data[:4]),
		"dtype of 33 bytes":      entry(`"`+strings.Repeat("U", 33)+`"`, `[4]`, "0", "4", data[:4]),
		"shape a number":         entry(`"U8"`, `4`, "0", "4", data[:4]),
		"shape of strings":       entry(`"U8"`, `["4"]`, "0", "4", data[:4]),
		"shape of fractions":     entry(`"U8"`, `[4.0]`, "0", "4", data[:4]),
		"shape with an exponent": entry(`"U8"`, `[4e0]`, "0", "4", data[:4]),
		"negative shape":         entry(`"U8"`, `[-4]`, "0", "4", data[:4]),
		"two negative shapes":    entry(`"U8"`, `[-2,-2]`, "0", "4", data[:4]),
		"shape of -0":            entry(`"U8"`, `[-0]`, "0", "0", nil),
		"shape of 2^64+4":        entry(`"U8"`, `[18446744073709551620]`, "0", "4", data[:4]),
		"overflowing shape":      entry(`"U8"`, `[4294967296,4294967296]`, "0", "0", nil),
		"overflow before a zero": entry(`"U8"`, `[9223372036854775807,9223372036854775807,0]`, "0", "0", nil),
		"overflowing size":       entry(`"F64"`, `[2305843009213693952]`, "0", "0", nil),
		"shape of 65 dimensions": entry(`"U8"`, `[`+strings.Repeat("1,", 64)+`4]`, "0", "4", data[:4]),
		"half a byte":            entry(`"F4"`, `[3]`, "0", "2", data[:2]),
		"three quarter bytes":    entry(`"F6_E2M3"`, `[3]`, "0", "3", data[:3]),
		"size is not the shape":  entry(`"F32"`, `[2]`, "0", "4", data[:4]),

		"negative offset":           entry(`"U8"`, `[4]`, "-4", "0", data[:4]),
		"offsets backwards":         entry(`"U8"`, `[0]`, "4", "0", data[:4]),
		"one offset":                safetensorsFile(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[4]}}`, data[:4]),
		"three offsets":             safetensorsFile(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,4]}}`, data[:4]),
		"beyond the file":           entry(`"U8"`, `[5]`, "0", "5", data[:4]),
		"beyond 2^63":               entry(`"ZZ"`, `[5]`, "9223372036854775807", "9223372036854775807", data[:4]),
		"huge and unknown":          entry(`"ZZ"`, `[5]`, "0", "9223372036854775807", data[:4]),
		"hole in front":             entry(`"U8"`, `[4]`, "4", "8", data),
		"hole behind":               entry(`"U8"`, `[4]`, "0", "4", data),
		"hole without a tensor":     safetensorsFile(`{}`, data),
		"hole between":              safetensorsFile(`{`+a+`,"b":{"dtype":"U8","shape":[2],"data_offsets":[6,8]}}`, data),
		"overlap":                   safetensorsFile(`{`+a+`,"b":{"dtype":"U8","shape":[6],"data_offsets":[2,8]}}`, data),
		"one in the other":          safetensorsFile(`{"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`, data),
		"two at the same place":     safetensorsFile(`{`+a+`,"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, data[:4]),
		"not safetensors":           []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
		"a pickle":                  []byte("\x80\x02}q\x00.\x80\x02}q\x00."),
		"a ZIP file called a model": zipFile(false, nil, stored("a", nil)),
	}
}

func brokenGGUF() map[string][]byte {
	start := func(version uint32, tensors, pairs uint64) *ggufHeader {
		return new(ggufHeader).start(version, tensors, pairs)
	}
	// value writes a file with one value and nothing else but some room.
	value := func(typ uint32, rest func(*ggufHeader)) []byte {
		h := start(3, 0, 1).str("x").u32(typ)
		rest(h)
		h.Write(make([]byte, 64))
		return h.Bytes()
	}
	// align writes a file that is long enough for the alignment.
	align := func(v uint32, room int) []byte {
		h := start(3, 1, 1).str("general.alignment").u32(ggufU32).u32(v)
		return append(ggufFile(h, 32, []Tensor{{"a", "f32", []int64{8}, Noise(1, 32)}}), make([]byte, room)...)
	}
	keys := func(n uint64) []byte {
		h := start(3, 0, n)
		for i := range n {
			h.str(fmt.Sprint(i)).u32(ggufU8).WriteByte(0)
		}
		return h.Bytes()
	}
	one := func(t Tensor) []byte { return ggufFile(start(3, 1, 0), 32, []Tensor{t}) }
	at := func(offsets ...uint64) []byte {
		h := start(3, uint64(len(offsets)), 0)
		for i, o := range offsets {
			h.tensor(Tensor{Name: fmt.Sprint(i), DType: "f32", Shape: []int64{16}}, o)
		}
		h.Write(make([]byte, -h.Len()&31+64*len(offsets)+32))
		return h.Bytes()
	}
	a := Tensor{"a", "f32", []int64{8}, Noise(1, 32)}
	big := GGUF(a)
	for i := range 4 {
		big[4+i] = []byte{0, 0, 0, 3}[i]
	}
	return map[string][]byte{
		"version 0":        GGUFVersion(0, a),
		"version 1":        GGUFVersion(1, a),
		"version 4":        GGUFVersion(4, a),
		"big endian":       big,
		"another magic":    append([]byte("GGML"), GGUF(a)[4:]...),
		"2^64-1 tensors":   append(start(3, math.MaxUint64, 0).Bytes(), make([]byte, 64)...),
		"2^32 tensors":     append(start(3, 1<<32, 0).Bytes(), make([]byte, 64)...),
		"100000 tensors":   append(start(3, 100_000, 0).Bytes(), make([]byte, 64)...),
		"2^64-1 keys":      append(start(3, 0, math.MaxUint64).Bytes(), make([]byte, 64)...),
		"65537 keys":       keys(65_537),
		"more keys":        append(start(3, 0, 3).str("x").u32(ggufU8).Bytes(), make([]byte, 26)...),
		"key of 2^64-1":    append(start(3, 0, 1).u64(math.MaxUint64).Bytes(), make([]byte, 64)...),
		"key of 64 KiB":    append(start(3, 0, 1).str(strings.Repeat("k", 65_536)).u32(ggufU8).Bytes(), 0),
		"key of nothing":   append(start(3, 0, 1).str("").u32(ggufU8).Bytes(), 0),
		"duplicate key":    append(start(3, 0, 2).str("x").u32(ggufU32).u32(1).str("x").u32(ggufU32).u32(1).Bytes(), 0),
		"unknown type":     value(13, func(*ggufHeader) {}),
		"type 2^32-1":      value(math.MaxUint32, func(*ggufHeader) {}),
		"endless string":   value(ggufString, func(h *ggufHeader) { h.u64(math.MaxUint64) }),
		"long string":      value(ggufString, func(h *ggufHeader) { h.u64(65) }),
		"string of 1 GiB":  value(ggufString, func(h *ggufHeader) { h.u64(1 << 30) }),
		"endless array":    value(ggufArray, func(h *ggufHeader) { h.u32(ggufU64).u64(math.MaxUint64) }),
		"wrapping array":   value(ggufArray, func(h *ggufHeader) { h.u32(ggufU64).u64(1 << 61) }),
		"endless strings":  value(ggufArray, func(h *ggufHeader) { h.u32(ggufString).u64(math.MaxUint64) }),
		"endless arrays":   value(ggufArray, func(h *ggufHeader) { h.u32(ggufArray).u64(math.MaxUint64) }),
		"unknown elements": value(ggufArray, func(h *ggufHeader) { h.u32(99).u64(1) }),
		"token of 1 MiB": value(ggufArray, func(h *ggufHeader) {
			h.u32(ggufString).u64(1).str(strings.Repeat("t", 1<<20+1))
		}),
		"deep nesting": value(ggufArray, func(h *ggufHeader) {
			for range 10_000 {
				h.u32(ggufArray).u64(1)
			}
			h.u32(ggufU8).u64(0)
		}),
		"nesting of 3": value(ggufArray, func(h *ggufHeader) { h.u32(ggufArray).u64(1).u32(ggufArray).u64(1).u32(ggufU8).u64(0) }),

		"alignment 0":         align(0, 4096),
		"alignment 48":        align(48, 4096),
		"alignment 2 MiB":     align(2<<20, 4<<20),
		"alignment 2^31":      align(1<<31, 4096),
		"alignment a string":  append(start(3, 0, 1).str("general.alignment").u32(ggufString).str("32").Bytes(), 0),
		"alignment of 8 bits": append(start(3, 0, 1).str("general.alignment").u32(ggufU8).Bytes(), 32, 0, 0, 0),

		"duplicate tensor":       ggufFile(start(3, 2, 0), 32, []Tensor{a, a}),
		"name of 4 KiB and 1":    one(Tensor{strings.Repeat("n", 4097), "f32", []int64{8}, Noise(1, 32)}),
		"name of 2^64-1":         append(start(3, 1, 0).u64(math.MaxUint64).Bytes(), make([]byte, 64)...),
		"name is not UTF-8":      one(Tensor{"\xff", "f32", []int64{8}, Noise(1, 32)}),
		"9 dimensions":           one(Tensor{"a", "f32", []int64{8, 1, 1, 1, 1, 1, 1, 1, 1}, Noise(1, 32)}),
		"2^32-1 dimensions":      append(start(3, 1, 0).str("a").u32(math.MaxUint32).Bytes(), make([]byte, 64)...),
		"negative shape":         one(Tensor{"a", "f32", []int64{-8}, Noise(1, 32)}),
		"two negative shapes":    one(Tensor{"a", "f32", []int64{-8, -1}, Noise(1, 32)}),
		"overflowing shape":      one(Tensor{"a", "f32", []int64{1 << 32, 1 << 32}, Noise(1, 32)}),
		"overflow before a zero": one(Tensor{"a", "f32", []int64{math.MaxInt64, math.MaxInt64, 0}, nil}),
		"overflowing size":       one(Tensor{"a", "f32", []int64{1 << 62}, nil}),
		"half a block":           one(Tensor{"a", "q4_0", []int64{16, 2}, Noise(1, 18)}),
		"a scalar of blocks":     one(Tensor{"a", "q4_0", nil, Noise(1, 18)}),
		"beyond the file":        one(Tensor{"a", "f32", []int64{9}, Noise(1, 32)}),
		"offset of 2^64-32":      at(math.MaxUint64 - 31),
		"offset of 2^63-32":      at(math.MaxInt64 - 31),
		"offset not aligned":     at(1),
		"offset beyond":          at(64),
		"unknown type beyond":    one(Tensor{"a", "type_99", []int64{1}, nil})[:56],
		"overlap":                at(0, 32),
		"two at the same place":  at(64, 64),
		"inside of the header":   at(0, math.MaxUint64-63),
	}
}

func brokenONNX() map[string][]byte {
	tensor := func(shape []int64, dtype string, data []byte) []byte {
		return onnxModel(message{}.bytes(5, onnxTensor(Tensor{"a", dtype, shape, data})))
	}
	raw := message{}.varint(1, 4).varint(2, 1).string(8, "a")
	nested := func(depth int) []byte {
		var graph message
		for range depth {
			graph = message{}.bytes(1, message{}.bytes(5, message{}.bytes(6, graph)))
		}
		return onnxModel(graph)
	}
	long := func(n uint64) []byte {
		return append(onnxModel(nil), append([]byte{11<<3 | 2}, binary.AppendUvarint(nil, n)...)...)
	}
	name := func(s string) []byte { return onnxModel(message{}.bytes(5, raw.string(8, s).bytes(9, Noise(1, 16)))) }
	return map[string][]byte{
		"no graph":               message{}.varint(1, 10).string(2, "x"),
		"two graphs":             append(onnxModel(nil), message{}.bytes(7, nil)...),
		"deep graphs":            nested(34),
		"very deep graphs":       nested(1000),
		"field beyond the file":  long(1),
		"field of 2^63":          long(1 << 63),
		"field of 2^64-1":        long(math.MaxUint64),
		"endless integer":        append(onnxModel(nil), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"...),
		"field number 0":         append(onnxModel(nil), 0, 0),
		"a group":                append(onnxModel(nil), 11<<3|3, 11<<3|4),
		"wire type 7":            append(onnxModel(nil), 11<<3|7, 0),
		"beyond its message":     onnxModel(message{}.bytes(5, append(raw, 9<<3|2, 100))),
		"elements twice":         onnxModel(message{}.bytes(5, raw.bytes(9, Noise(1, 16)).bytes(9, Noise(2, 16)))),
		"raw and packed":         onnxModel(message{}.bytes(5, raw.bytes(9, Noise(1, 16)).bytes(4, Noise(2, 16)))),
		"floats of integers":     onnxModel(message{}.bytes(5, message{}.varint(1, 4).varint(2, 6).bytes(4, Noise(2, 16)))),
		"doubles of floats":      onnxModel(message{}.bytes(5, raw.bytes(10, Noise(2, 16)))),
		"negative shape":         tensor([]int64{-4}, "float", Noise(1, 16)),
		"two negative shapes":    tensor([]int64{-2, -2}, "float", Noise(1, 16)),
		"overflowing shape":      tensor([]int64{1 << 32, 1 << 32}, "float", Noise(1, 16)),
		"overflowing size":       tensor([]int64{1 << 62}, "double", Noise(1, 16)),
		"65 dimensions":          tensor(append(slices.Repeat([]int64{1}, 64), 4), "float", Noise(1, 16)),
		"size is not the shape":  tensor([]int64{5}, "float", Noise(1, 16)),
		"half an element":        tensor([]int64{8}, "int4", Noise(1, 5)),
		"broken packed shape":    onnxModel(message{}.bytes(5, message{}.bytes(1, []byte{0x80}).varint(2, 1).bytes(9, Noise(1, 16)))),
		"name of 4 KiB and 1":    name(strings.Repeat("n", 4097)),
		"name is not UTF-8":      name("\xff"),
		"output of 4 KiB and 1":  onnxModel(message{}.bytes(1, message{}.string(2, strings.Repeat("n", 4097)))),
		"name taken by a place":  onnxModel(message{}.bytes(5, onnxTensor(Tensor{"@49", "uint8", []int64{1}, []byte{1}})).bytes(5, onnxTensor(Tensor{"", "uint8", []int64{1}, []byte{1}}))),
		"nothing but an integer": {8, 10},
	}
}
