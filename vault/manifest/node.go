package manifest

import "github.com/aivault/aivault/crypto/canonical"

const nodeFormat = "aivault-manifest-node/1"

type (
	wireRef struct {
		First      string `json:"first,omitempty"`
		FirstBytes []byte `json:"first_base64,omitempty"`
		At         int64  `json:"at,omitzero"`
		wireChunk
	}
	wireNode struct {
		Format string           `json:"format"`
		Parts  limited[wireRef] `json:"parts"`
	}
)

func (r *Ref) wire() wireRef {
	w := wireRef{At: r.At, wireChunk: r.Chunk.wire()}
	w.First, w.FirstBytes = spell(r.First)
	return w
}

func wireRefs(refs []Ref) limited[wireRef] {
	w := make(limited[wireRef], len(refs))
	for i := range refs {
		w[i] = refs[i].wire()
	}
	return w
}

// Of says what parts list, and so how references to them are spelt.
type Of int

const (
	Files   Of = iota // First is a path
	Tensors           // First is the name of a tensor
)

// DecodeNode decodes and checks a node that a ref says to begin with first, at
// byte at. Errors wrap ErrMalformed or entry.ErrUpgrade.
func DecodeNode(of Of, first string, at int64, b []byte) (*Node, error) {
	var w wireNode
	if err := decode(b, nodeFormat, MaxPart, &w); err != nil {
		return nil, err
	}
	if len(w.Parts) == 0 {
		return nil, malformed("a node without parts")
	}
	refs, err := decodeRefs(of, w.Parts)
	if err != nil {
		return nil, err
	}
	if refs[0].First != first || refs[0].At != at {
		return nil, malformed("node %q at %d begins with %q at %d", first, at, refs[0].First, refs[0].At)
	}
	return &Node{Parts: refs}, nil
}

func decodeRefs(of Of, list []wireRef) ([]Ref, error) {
	var refs []Ref
	for i := range list {
		r, err := list[i].ref(of)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			if before := &refs[i-1]; !before.Before(r.First, r.At) {
				return nil, malformed("part %q at %d after part %q at %d", r.First, r.At, before.First, before.At)
			}
		}
		refs = append(refs, r)
	}
	return refs, nil
}

func (w *wireRef) ref(of Of) (r Ref, err error) {
	r.At = w.At
	if of == Files {
		r.First, err = unspell(w.First, w.FirstBytes)
	} else {
		r.First = w.First
		err = checkName(w.First)
	}
	if err != nil {
		return r, err
	}
	if r.At < 0 || r.At > MaxBytes || of == Tensors && w.FirstBytes != nil {
		return r, malformed("part %q at %d", r.First, r.At)
	}
	r.Chunk, err = w.chunk()
	return r, err
}

// Before reports whether r begins before byte at of the file, or tensor number at
// of the name, first.
func (r *Ref) Before(first string, at int64) bool {
	return r.First < first || r.First == first && r.At < at
}

func (r *Ref) encode() ([]byte, error) { return canonical.Marshal(r.wire()) }
