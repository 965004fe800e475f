package transfer

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/modelfile"
)

// TensorFile is the name of the file that [Version.PullTensors] writes.
const TensorFile = "tensors.safetensors"

// slot is the place of a tensor in the file that is written.
type slot struct {
	manifest.Tensor
	name  string // in the file
	dtype string // as safetensors spells it; "": it has none for it
	width int    // of an element
	at    int64  // in the file
	got   int64  // bytes written
}

// tensorFile is a safetensors file to be.
type tensorFile struct {
	head  []byte // all before the data
	slots []slot
	size  int64
}

// safetensorsTypes are the types of safetensors by the names that formats have
// for them.
func safetensorsType(d string) string {
	switch d {
	case "bool", "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f16", "bf16", "f32", "f64", "f8_e5m2", "f8_e4m3":
		return strings.ToUpper(d)
	case "uint8", "uint16", "uint32", "uint64":
		return "U" + d[len("uint"):]
	case "int8", "int16", "int32", "int64":
		return "I" + d[len("int"):]
	case "float16", "bfloat16":
		return strings.ToUpper(strings.Replace(d, "float", "f", 1))
	case "float":
		return "F32"
	case "double":
		return "F64"
	case "float8e4m3fn":
		return "F8_E4M3"
	case "float8e5m2":
		return "F8_E5M2"
	}
	return ""
}

// newTensorFile lays tensors out: the widest elements first, so that all are
// aligned, without gaps between them.
func newTensorFile(tensors []manifest.Tensor) (*tensorFile, error) {
	f := &tensorFile{slots: make([]slot, len(tensors))}
	same := make(map[string]int)
	for i := range tensors {
		same[tensors[i].Name]++
	}
	taken := map[string]bool{"__metadata__": true}
	for i := range tensors {
		s := &f.slots[i]
		s.Tensor, s.name = tensors[i], tensors[i].Name
		if same[s.Name] > 1 || taken[s.name] {
			s.name = strings.ToValidUTF8(s.File, "\uFFFD") + ":" + s.Name
		}
		for taken[s.name] {
			s.name += "'"
		}
		taken[s.name] = true
		s.width, s.dtype = 1, safetensorsType(s.DType)
		if width, _ := modelfile.Element(modelfile.DType(s.DType)); s.dtype != "" && s.Shape != nil && bytesOf(s.Shape, width) == s.Size {
			s.width = width
		} else {
			s.dtype = ""
		}
	}
	slices.SortFunc(f.slots, func(a, b slot) int { return cmp.Or(b.width-a.width, strings.Compare(a.name, b.name)) })
	data := int64(0)
	for i := range f.slots {
		s := &f.slots[i]
		s.at = data
		if data += s.Size; data > manifest.MaxBytes {
			return nil, fmt.Errorf("%d tensors are longer than any file", len(tensors))
		}
	}
	header, err := f.header()
	if err != nil {
		return nil, err
	}
	f.head = append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	for i := range f.slots {
		f.slots[i].at += int64(len(f.head))
	}
	f.size = data + int64(len(f.head))
	return f, nil
}

// bytesOf returns how many bytes a shape takes, -1 if that is out of bounds.
func bytesOf(shape []int64, width int) int64 {
	n := int64(width)
	for _, d := range shape {
		if d > 0 && n > manifest.MaxBytes/d {
			return -1
		}
		n *= d
	}
	return n
}

// header returns the JSON of the file's header, padded to a multiple of 8 bytes.
// What safetensors has no type for is listed as bytes, with type and shape under
// the tensor's name in the metadata.
func (f *tensorFile) header() ([]byte, error) {
	type shaped struct {
		DType string  `json:"dtype"`
		Shape []int64 `json:"shape,omitzero"`
	}
	type listed struct {
		DType   string   `json:"dtype"`
		Shape   []int64  `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	metadata := make(map[string]string)
	var members []string
	for i := range f.slots {
		s := &f.slots[i]
		l := listed{s.dtype, s.Shape, [2]int64{s.at, s.at + s.Size}}
		if s.dtype == "" {
			l.DType, l.Shape = "U8", []int64{s.Size}
			true, err := json.Marshal(shaped{s.DType, s.Shape})
			if err != nil {
				return nil, err
			}
			metadata[s.name] = string(true)
		}
		name, err := json.Marshal(s.name)
		if err != nil {
			return nil, err
		}
		entry, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		members = append(members, string(name)+":"+string(entry))
	}
	if len(metadata) > 0 {
		m, err := json.Marshal(metadata)
		if err != nil {
			return nil, err
		}
		members = append([]string{`"__metadata__":` + string(m)}, members...)
	}
	header := "{" + strings.Join(members, ",") + "}"
	header += strings.Repeat(" ", -len(header)&7)
	if len(header) > modelfile.MaxHeader {
		return nil, fmt.Errorf("%d tensors need a header of %d bytes: safetensors has room for %d", len(f.slots), len(header), modelfile.MaxHeader)
	}
	return []byte(header), nil
}
