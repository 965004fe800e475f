package modelfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDims bounds the dimensions of a tensor in safetensors and ONNX, as in NumPy.
const maxDims = 64

const (
	lengthSize = 8  // bytes in front of the header
	maxDType   = 32 // bytes of the name of a type
)

// readSafetensors reads a length of 8 bytes, JSON of that length, and data that
// the tensors must cover without a hole
// (https://github.com/huggingface/safetensors#format). It is as strict as the
// reference implementation, but that it keeps types it does not know, and
// stricter in that no key may come twice and no field be unknown.
func readSafetensors(w *window) (*Layout, error) {
	length, err := w.uint64()
	if err != nil {
		return nil, err
	}
	if length > MaxHeader || length > uint64(w.size-w.pos) {
		return nil, malformed("a header of %d bytes in a file of %d: at most %d are possible", length, w.size, MaxHeader)
	}
	brace, err := w.peekUpTo(1)
	if err != nil {
		return nil, err
	}
	if length == 0 || brace[0] != '{' {
		return nil, malformed("the header at byte %d does not start with {", w.pos)
	}
	header := make([]byte, length)
	n := copy(header, w.buf[w.pos-w.at:])
	if err := w.full(header[n:], w.pos+int64(n)); err != nil {
		return nil, err
	}
	if !utf8.Valid(header) {
		return nil, malformed("the header is not UTF-8")
	}
	data := w.pos + int64(length)
	s := &safetensors{dec: json.NewDecoder(bytes.NewReader(header)), data: data, tensors: builder{size: w.size}}
	s.dec.UseNumber()
	if err := s.header(); err != nil {
		return nil, err
	}
	l, err := layout(Safetensors, data, s.tensors.take())
	if err != nil {
		return nil, err
	}
	end := data
	for i := range l.Tensors {
		if t := &l.Tensors[i]; t.Offset != end {
			return nil, malformed("nothing stands between bytes %d and %d, before tensor %.100q", end, t.Offset, t.Name)
		}
		end += l.Tensors[i].Size
	}
	if end != w.size {
		return nil, malformed("the tensors end at byte %d, the file at %d", end, w.size)
	}
	return l, nil
}

// safetensors walks the tokens of a header: decoding into values would keep the
// last of two equal keys.
type safetensors struct {
	dec     *json.Decoder
	data    int64
	tensors builder
}

func (s *safetensors) malformed(format string, args ...any) error {
	return malformed("at byte %d: "+format, append([]any{lengthSize + s.dec.InputOffset()}, args...)...)
}

func (s *safetensors) token() (json.Token, error) {
	t, err := s.dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, s.malformed("the JSON ends early")
	}
	if err != nil {
		return nil, s.malformed("%w", err)
	}
	return t, nil
}

// object calls member for each key of an object.
func (s *safetensors) object(member func(key string) error) error {
	if t, err := s.token(); err != nil || t != json.Delim('{') {
		return cmp.Or(err, s.malformed("no object"))
	}
	for s.dec.More() {
		t, err := s.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return s.malformed("no key")
		}
		if err := member(key); err != nil {
			return err
		}
	}
	_, err := s.token()
	return err
}

func (s *safetensors) string() (string, error) {
	t, err := s.token()
	if v, ok := t.(string); ok {
		return v, nil
	}
	return "", cmp.Or(err, s.malformed("no string"))
}

// numbers appends an array of at most limit numbers to n.
func (s *safetensors) numbers(n []int64, limit int) ([]int64, error) {
	if t, err := s.token(); err != nil || t != json.Delim('[') {
		return nil, cmp.Or(err, s.malformed("no array"))
	}
	for s.dec.More() {
		t, err := s.token()
		if err != nil {
			return nil, err
		}
		text, ok := t.(json.Number)
		v, err := strconv.ParseUint(string(text), 10, 63)
		if !ok || err != nil || len(n) == limit {
			return nil, s.malformed("no array of at most %d natural numbers below 2^63", limit)
		}
		n = append(n, int64(v))
	}
	_, err := s.token()
	return n, err
}

func (s *safetensors) header() error {
	described := false
	err := s.object(func(key string) error {
		if key != "__metadata__" {
			return s.tensor(key)
		}
		if described {
			return s.malformed("%s comes twice", key)
		}
		described = true
		return s.metadata()
	})
	if err != nil {
		return err
	}
	if _, err := s.dec.Token(); !errors.Is(err, io.EOF) {
		return s.malformed("something follows the object")
	}
	return nil
}

func (s *safetensors) metadata() error {
	seen := map[string]bool{}
	return s.object(func(key string) error {
		if seen[key] {
			return s.malformed("%.100q comes twice", key)
		}
		seen[key] = true
		_, err := s.string()
		return err
	})
}

func (s *safetensors) tensor(name string) error {
	t := Tensor{Name: name}
	var (
		spelled          string
		offsets          [2]int64
		typed, cut, seen bool // "dtype", "data_offsets" and the key at hand have come
	)
	err := s.object(func(key string) (err error) {
		switch key {
		case "dtype":
			seen, typed = typed, true
			spelled, err = s.string()
		case "shape":
			seen = t.Shape != nil
			t.Shape, err = s.numbers([]int64{}, maxDims)
		case "data_offsets":
			seen, cut = cut, true
			var n []int64
			if n, err = s.numbers(offsets[:0], len(offsets)); err == nil && len(n) != len(offsets) {
				err = s.malformed("no two offsets")
			}
		default:
			err = s.malformed("a tensor has no %.100q", key)
		}
		if err == nil && seen {
			err = s.malformed("%q comes twice", key)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !typed || !cut || t.Shape == nil {
		return s.malformed("tensor %.100q lacks its type, shape or offsets", name)
	}
	begin, end := offsets[0], offsets[1]
	if begin > end || begin > s.tensors.size-s.data {
		return s.malformed("tensor %.100q stands from %d to %d", name, begin, end)
	}
	t.Offset, t.Size = s.data+begin, end-begin
	if t.DType, err = safetensorsType(spelled, t.Shape, t.Size); err != nil {
		return s.malformed("tensor %.100q: %w", name, err)
	}
	return s.tensors.add(t)
}

// safetensorsType returns the type that is spelled so, after it compared the
// shape with the size. A type that is not known takes any size.
func safetensorsType(spelled string, shape []int64, size int64) (DType, error) {
	if len(spelled) == 0 || len(spelled) > maxDType || strings.ContainsFunc(spelled, notInTypes) {
		return "", errType
	}
	n, ok := elementsOf(shape)
	if !ok {
		return "", errShape
	}
	d, known := safetensorsTypes[spelled]
	if !known {
		d = DType(strings.ToLower(spelled))
		if _, taken := elements[d]; taken {
			return "", errType
		}
		return d, nil
	}
	e := elements[d]
	want, ok := e.sizeOf(n)
	if !ok || n%e.count != 0 || want != size {
		return "", errShape
	}
	return d, nil
}

func notInTypes(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_'
}

var safetensorsTypes = map[string]DType{
	"BOOL": "bool", "U8": "u8", "I8": "i8", "U16": "u16", "I16": "i16", "U32": "u32", "I32": "i32", "U64": "u64", "I64": "i64",
	"F4": "f4", "F6_E2M3": "f6_e2m3", "F6_E3M2": "f6_e3m2",
	"F8_E5M2": "f8_e5m2", "F8_E4M3": "f8_e4m3", "F8_E8M0": "f8_e8m0", "F8_E4M3FNUZ": "f8_e4m3fnuz", "F8_E5M2FNUZ": "f8_e5m2fnuz",
	"F16": "f16", "BF16": "bf16", "F32": "f32", "F64": "f64", "C64": "c64",
}
