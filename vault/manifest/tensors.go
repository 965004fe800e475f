package manifest

import (
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/aivault/aivault/crypto/canonical"
)

const (
	tensorsFormat = "aivault-manifest-tensors/1"

	// MaxName is the length of the longest name of a tensor, in bytes.
	MaxName = 4096
	// MaxTensors bounds the tensors of a part.
	MaxTensors = MaxExtents

	maxDType = 32
	maxDims  = 64
)

// Tensor says where in which file a tensor stands.
type Tensor struct {
	Name  string  // UTF-8, at most MaxName bytes
	DType string  // as vault/modelfile spells it
	Shape []int64 // outermost dimension first; nil: not known
	File  string  // path
	At    int64   // in the file
	Size  int64   // in bytes
}

// Compare orders tensors by name and file.
func (t *Tensor) Compare(u *Tensor) int {
	return cmp.Or(strings.Compare(t.Name, u.Name), strings.Compare(t.File, u.File))
}

// TensorPart lists tensors, in the order of Compare.
type TensorPart struct {
	Tensors []Tensor
}

type (
	wireTensor struct {
		Name      string  `json:"name"`
		DType     string  `json:"dtype"`
		Shape     []int64 `json:"shape,omitzero"`
		File      string  `json:"file,omitempty"`
		FileBytes []byte  `json:"file_base64,omitempty"`
		At        int64   `json:"at"`
		Size      int64   `json:"size"`
	}
	wireTensors struct {
		Format  string              `json:"format"`
		Tensors limited[wireTensor] `json:"tensors"`
	}
)

func (t *Tensor) wire() wireTensor {
	w := wireTensor{Name: t.Name, DType: t.DType, Shape: t.Shape, At: t.At, Size: t.Size}
	w.File, w.FileBytes = spell(t.File)
	return w
}

func (w *wireTensor) tensor() (Tensor, error) {
	file, err := unspell(w.File, w.FileBytes)
	if err != nil {
		return Tensor{}, err
	}
	t := Tensor{Name: w.Name, DType: w.DType, Shape: w.Shape, File: file, At: w.At, Size: w.Size}
	return t, t.Check()
}

// Check reports whether a manifest can list t. Errors wrap ErrMalformed.
func (t *Tensor) Check() error {
	if err := checkName(t.Name); err != nil {
		return err
	}
	switch {
	case t.DType == "" || len(t.DType) > maxDType || strings.Trim(t.DType, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		return malformed("tensor %.100q: type %.100q", t.Name, t.DType)
	case len(t.Shape) > maxDims:
		return malformed("tensor %.100q: %d dimensions", t.Name, len(t.Shape))
	case t.At < 0 || t.Size < 0 || t.At > MaxBytes || t.Size > MaxBytes-t.At:
		return malformed("tensor %.100q: %d bytes at %d", t.Name, t.Size, t.At)
	}
	for _, n := range t.Shape {
		if n < 0 || n > MaxBytes {
			return malformed("tensor %.100q: a dimension of %d", t.Name, n)
		}
	}
	return nil
}

func checkName(name string) error {
	if len(name) > MaxName || !utf8.ValidString(name) {
		return malformed("a tensor's name of %d bytes", len(name))
	}
	return nil
}

// DecodeTensors decodes and checks a part that a ref says to begin with the
// tensor first. Errors wrap ErrMalformed or entry.ErrUpgrade. That its files are
// there is for [Sequence] to check.
func DecodeTensors(first string, b []byte) (*TensorPart, error) {
	var w wireTensors
	if err := decode(b, tensorsFormat, MaxPart, &w); err != nil {
		return nil, err
	}
	if len(w.Tensors) == 0 {
		return nil, malformed("a part without tensors")
	}
	p := &TensorPart{make([]Tensor, len(w.Tensors))}
	for i := range w.Tensors {
		var err error
		if p.Tensors[i], err = w.Tensors[i].tensor(); err != nil {
			return nil, err
		}
		if i > 0 && p.Tensors[i].Compare(&p.Tensors[i-1]) <= 0 {
			return nil, malformed("tensor %.100q after %.100q", p.Tensors[i].Name, p.Tensors[i-1].Name)
		}
	}
	if p.Tensors[0].Name != first {
		return nil, malformed("part %.100q begins with tensor %.100q", first, p.Tensors[0].Name)
	}
	return p, nil
}

func (t *Tensor) encode() ([]byte, error) { return canonical.Marshal(t.wire()) }
