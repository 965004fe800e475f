package modelfiletest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

func safetensorsTypes() []Type {
	return []Type{
		{"bool", 0, 1, 1}, {"u8", 0, 1, 1}, {"i8", 0, 1, 1}, {"f8_e5m2", 0, 1, 1}, {"f8_e4m3", 0, 1, 1}, {"f8_e8m0", 0, 1, 1},
		{"f8_e4m3fnuz", 0, 1, 1}, {"f8_e5m2fnuz", 0, 1, 1}, {"f4", 0, 2, 1}, {"f6_e2m3", 0, 4, 3}, {"f6_e3m2", 0, 4, 3},
		{"i16", 0, 1, 2}, {"u16", 0, 1, 2}, {"f16", 0, 1, 2}, {"bf16", 0, 1, 2}, {"i32", 0, 1, 4}, {"u32", 0, 1, 4}, {"f32", 0, 1, 4},
		{"c64", 0, 1, 8}, {"f64", 0, 1, 8}, {"i64", 0, 1, 8}, {"u64", 0, 1, 8},
	}
}

// Safetensors writes a safetensors file, with metadata and a header padded to 8
// bytes, as PyTorch's writer does.
func Safetensors(tensors ...Tensor) []byte {
	header, data := `{"__metadata__":{"format":"pt"}`, []byte(nil)
	for _, t := range tensors {
		header += "," + safetensorsEntry(t, int64(len(data)), int64(len(data)+len(t.Data)))
		data = append(data, t.Data...)
	}
	header += "}"
	header += strings.Repeat(" ", -len(header)&7)
	return safetensorsFile(header, data)
}

func safetensorsEntry(t Tensor, begin, end int64) string {
	name, _ := json.Marshal(t.Name)
	shape, _ := json.Marshal(append([]int64{}, t.Shape...))
	return fmt.Sprintf(`%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, strings.ToUpper(t.DType), shape, begin, end)
}

func safetensorsFile(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}
