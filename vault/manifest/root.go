package manifest

import (
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
)

const rootFormat = "aivault-manifest/1"

type wireRoot struct {
	Format      string           `json:"format"`
	Artefact    canonical.Digest `json:"artefact"`
	Version     canonical.ID     `json:"version"`
	Salt        secretText       `json:"salt"`
	Cut         secretText       `json:"cut"`
	Files       int64            `json:"files"`
	Directories int64            `json:"directories"`
	Bytes       int64            `json:"bytes"`
	Depth       int              `json:"depth"`
	Parts       limited[wireRef] `json:"parts"`
	Tensors     limited[wireRef] `json:"tensors,omitempty"`
}

// Encode returns the root's plaintext. ErrTooLarge: its parts do not fit.
func (r *Root) Encode() ([]byte, error) {
	w := wireRoot{rootFormat, r.Artefact, r.Version, r.Salt.Reveal(), r.Cut.Reveal(), r.Files, r.Directories, r.Bytes,
		r.Depth, wireRefs(r.Parts), wireRefs(r.Tensors)}
	b, err := canonical.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding a manifest root: %w", err)
	}
	if len(b) > MaxRoot {
		return nil, fmt.Errorf("%w: a root that names %d parts is %d bytes long", ErrTooLarge, len(r.Parts)+len(r.Tensors), len(b))
	}
	return b, nil
}

// DecodeRoot decodes and checks a root, which may be padded. Errors wrap
// ErrMalformed or entry.ErrUpgrade.
func DecodeRoot(b []byte) (*Root, error) {
	b, err := unpad(b)
	if err != nil {
		return nil, err
	}
	var w wireRoot
	if err := decode(b, rootFormat, MaxRoot, &w); err != nil {
		return nil, err
	}
	for _, n := range []int64{w.Files, w.Directories, w.Bytes} {
		if n < 0 || n > MaxBytes {
			return nil, malformed("a count of %d", n)
		}
	}
	entries := w.Files + w.Directories
	switch {
	case w.Artefact.IsZero() || w.Version.IsZero():
		return nil, malformed("a root of no version")
	case w.Depth != 1 && w.Depth != 2:
		return nil, malformed("a root of depth %d", w.Depth)
	case (entries == 0) != (len(w.Parts) == 0):
		return nil, malformed("%d entries in %d parts", entries, len(w.Parts))
	}
	refs, err := decodeRefs(Files, w.Parts)
	if err != nil {
		return nil, err
	}
	tensors, err := decodeRefs(Tensors, w.Tensors)
	if err != nil {
		return nil, err
	}
	return &Root{w.Artefact, w.Version, SecretFrom(w.Salt), SecretFrom(w.Cut), w.Files, w.Directories, w.Bytes, w.Depth, refs, tensors}, nil
}
