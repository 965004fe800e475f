// Package modelfiletest writes weight files of every format that vault/modelfile
// reads, and broken ones. It shares no table with the readers, so that a wrong
// number in one of the two is noticed.
package modelfiletest

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Tensor is a tensor to be written. Nothing is checked: what does not fit
// together makes a broken file.
type Tensor struct {
	Name  string // in a ZIP file that of the member: "archive/data/0"
	DType string // as modelfile spells it; ignored in a ZIP file
	Shape []int64
	Data  []byte
}

// Type is a type of elements: Elements of them take Bytes.
type Type struct {
	Name            string
	ID              uint32 // in GGUF and ONNX
	Elements, Bytes int64
}

// Formats lists the formats as modelfile calls them.
func Formats() []string { return []string{"safetensors", "gguf", "onnx", "torch-zip"} }

// Extension returns the usual extension of a format's files.
func Extension(format string) string {
	if format == "torch-zip" {
		return ".pt"
	}
	return "." + format
}

// Write writes a file of a format.
func Write(format string, tensors ...Tensor) []byte {
	switch format {
	case "safetensors":
		return Safetensors(tensors...)
	case "gguf":
		return GGUF(tensors...)
	case "onnx":
		return ONNX(tensors...)
	case "torch-zip":
		return TorchZip(tensors...)
	}
	return nil
}

// Types lists every type of a format; in a ZIP file types are not known.
func Types(format string) []Type {
	switch format {
	case "safetensors":
		return safetensorsTypes()
	case "gguf":
		return ggufTypes()
	case "onnx":
		return onnxTypes()
	}
	return []Type{{"unknown", 0, 1, 1}}
}

// Every returns a tensor of every type of a format, of 2 x 3 blocks of different
// bytes. Each is as long as a multiple of 32 bytes, so that a file is broken
// wherever it is cut off.
func Every(format string) []Tensor {
	var tensors []Tensor
	for i, t := range Types(format) {
		inner := t.Elements * 32
		shape := []int64{3, 2, inner}
		if format == "gguf" {
			shape = []int64{inner, 2, 3}
		}
		name := fmt.Sprintf("layers.%d.%s", i, t.Name)
		if format == "torch-zip" {
			name, shape = "archive/data/"+strconv.Itoa(i), nil
		}
		tensors = append(tensors, Tensor{Name: name, DType: t.Name, Shape: shape, Data: Noise(uint64(i), t.Bytes*32*6)})
	}
	return tensors
}

// Noise returns n bytes that nothing compresses, the same for a seed
// (SplitMix64).
func Noise(seed uint64, n int64) []byte {
	b := make([]byte, (n+7)/8*8)
	for i := 0; i < len(b); i += 8 {
		seed += 0x9e3779b97f4a7c15
		x := seed
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(b[i:], x^x>>31)
	}
	return b[:n]
}
