package manifest

import (
	"bytes"
	"fmt"
	"iter"
)

// TensorParts yields the parts that list tensors, which must come in the order
// of Compare. It stops at the first error.
func TensorParts(key Secret, tensors []Tensor) iter.Seq2[Encoded, error] {
	cut := NewCutter(key)
	same := int64(0) // tensors before this one that have its name
	return pack(tensorsFormat, "tensors", len(tensors), func(i int) (item, error) {
		t := &tensors[i]
		if same++; i == 0 || t.Name != tensors[i-1].Name {
			same = 0
		}
		enc, err := t.encode()
		return item{t.Name, same, enc, cut.endsTensors(t)}, err
	})
}

// Nodes yields the nodes that list parts, for a root that cannot.
func Nodes(key Secret, parts []Ref) iter.Seq2[Encoded, error] {
	cut := NewCutter(key)
	return pack(nodeFormat, "parts", len(parts), func(i int) (item, error) {
		r := &parts[i]
		enc, err := r.encode()
		return item{r.First, r.At, enc, cut.endsNode(r)}, err
	})
}

// item is an element of a document that is one list.
type item struct {
	first string
	at    int64
	enc   []byte
	ends  bool // the document ends after it
}

// pack yields documents that list n items, each as many as fit and no more than
// up to the first that ends it.
func pack(format, member string, n int, get func(int) (item, error)) iter.Seq2[Encoded, error] {
	return func(yield func(Encoded, error) bool) {
		var list bytes.Buffer
		var out Encoded
		held := 0
		flush := func() bool {
			out.Plain = fmt.Appendf(nil, `{"format":"%s","%s":[%s]}`, format, member, list.Bytes())
			list.Reset()
			held = 0
			return yield(out, nil)
		}
		for i := range n {
			it, err := get(i)
			if err != nil {
				yield(Encoded{}, fmt.Errorf("listing %q in a manifest: %w", it.first, err))
				return
			}
			const frame = 128 // the rest of a document's encoding
			if held == MaxExtents || held > 0 && list.Len()+len(it.enc)+frame > MaxPart {
				if !flush() {
					return
				}
			}
			if held == 0 {
				out = Encoded{First: it.first, At: it.at}
			}
			join(&list, it.enc)
			if held++; it.ends && !flush() {
				return
			}
		}
		if held > 0 {
			flush()
		}
	}
}
