package transfer

import (
	"errors"
	"io"
	"slices"

	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/modelfile"
)

const (
	// pieceAlign is what lengths of the pieces of a tensor are multiples of.
	pieceAlign = 4096
	// padding is shorter than this: it belongs to what stands before it.
	padding = 4096
	// maxHeader bounds how much of a file is read to find its tensors, and so, 16
	// times as much, the memory that they take meanwhile.
	maxHeader = 16 << 20
	// maxTensors bounds the tensors that a version lists.
	maxTensors = 1 << 20
)

// span is a run of a file's bytes that is cut for itself.
type span struct {
	length int64
	kind   codec.Kind
	piece  bool // one piece; otherwise it is cut by content
}

// plan says how a file with tensors is cut (vault/FORMAT.md §7.4).
type plan struct {
	spans  []span
	cut    *manifest.Cutter
	padded bool // within size classes
}

func planTensors(l *modelfile.Layout, size int64, cut *manifest.Cutter, padded bool) []span {
	p := plan{cut: cut, padded: padded}
	header := codec.Unknown
	if l.Format == modelfile.Safetensors {
		header = codec.Text
	}
	p.rest(l.Data, header)
	tensors := slices.DeleteFunc(slices.Clone(l.Tensors), func(t modelfile.Tensor) bool { return t.Size == 0 })
	at := l.Data
	var group span
	flush := func() {
		if group.length > 0 {
			p.spans = append(p.spans, group)
		}
		group = span{}
	}
	for i := range tensors {
		t := &tensors[i]
		if gap := t.Offset - at; gap > 0 {
			flush()
			p.rest(gap, codec.Unknown)
		}
		next := size
		if i+1 < len(tensors) {
			next = tensors[i+1].Offset
		}
		unit := t.Size
		if pad := next - t.Offset - t.Size; pad < padding {
			unit += pad
		}
		at = t.Offset + unit
		kind := kindOf(t.DType)
		if unit > manifest.MaxChunk {
			flush()
			p.tensor(unit, kind)
			continue
		}
		if group.kind != kind || group.length+unit > p.groupSize() {
			flush()
		}
		group = span{group.length + unit, kind, true}
		if p.cut.EndsTensors(t.Name, t.Size) {
			flush()
		}
	}
	flush()
	p.rest(size-at, codec.Unknown)
	return p.spans
}

func (p *plan) groupSize() int64 {
	if p.padded {
		return smallFile
	}
	return manifest.MaxChunk
}

// rest adds what no tensor covers.
func (p *plan) rest(n int64, kind codec.Kind) {
	if n > 0 {
		p.spans = append(p.spans, span{n, kind, n <= manifest.MaxChunk})
	}
}

// tensor adds a tensor of more than one piece.
func (p *plan) tensor(n int64, kind codec.Kind) {
	length := int64(manifest.MaxChunk)
	if !p.padded {
		pieces := (n + manifest.MaxChunk - 1) / manifest.MaxChunk
		length = (n + pieces - 1) / pieces
		length = (length + pieceAlign - 1) / pieceAlign * pieceAlign
	}
	for ; n > 0; n -= length {
		p.spans = append(p.spans, span{min(n, length), kind, true})
	}
}

// kindOf tells an encoder what a type's elements are.
func kindOf(d modelfile.DType) codec.Kind {
	switch width, class := modelfile.Element(d); class {
	case modelfile.BFloat16:
		return codec.BF16
	case modelfile.Float16:
		return codec.F16
	case modelfile.Float32:
		return codec.F32
	case modelfile.Float64:
		return codec.F64
	case modelfile.Bool, modelfile.Float8, modelfile.Quantised:
		return codec.Bytes
	case modelfile.Int:
		if width == 1 {
			return codec.Bytes
		}
	}
	return codec.Unknown
}

// layout reads where the tensors of a file are. A file without any, and one that
// is not well formed, has no layout; that is no error.
func layout(r io.ReaderAt, size int64, path string) (*modelfile.Layout, error) {
	l, err := modelfile.Read(&frugal{r, maxHeader}, size, path)
	switch {
	case errors.Is(err, modelfile.ErrUnknown), errors.Is(err, modelfile.ErrMalformed), errors.Is(err, errLongHeader),
		errors.Is(err, io.ErrUnexpectedEOF): // it has become shorter, and whoever reads it will notice
		return nil, nil
	}
	return l, err
}

var errLongHeader = errors.New("the header is too long")

// frugal reads no more than left bytes.
type frugal struct {
	r    io.ReaderAt
	left int64
}

func (f *frugal) ReadAt(b []byte, off int64) (int, error) {
	if f.left -= int64(len(b)); f.left < 0 {
		return 0, errLongHeader
	}
	return f.r.ReadAt(b, off)
}

// tensorsOf says of a file's tensors what a manifest says.
func tensorsOf(l *modelfile.Layout, path string) []manifest.Tensor {
	out := make([]manifest.Tensor, 0, len(l.Tensors))
	for _, t := range l.Tensors {
		m := manifest.Tensor{Name: t.Name, DType: string(t.DType), Shape: t.Shape, File: path, At: t.Offset, Size: t.Size}
		if l.Format == modelfile.GGUF {
			m.Shape = slices.Clone(t.Shape)
			slices.Reverse(m.Shape)
		}
		if m.Check() == nil { // no manifest has room for some shapes of nothing
			out = append(out, m)
		}
	}
	return out
}
