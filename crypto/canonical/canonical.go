// Package canonical encodes and decodes JSON that has exactly one spelling.
//
// Everything aivault signs or binds by digest is JSON in this form: the fields
// of an object in the order of its Go struct, no white space, encoding/json's
// string escapes with HTML escaping off, integers in decimal. Decoding re-encodes
// and compares, so that duplicate, unknown, reordered or differently cased
// fields, other escapes and trailing bytes are all refused (vault/FORMAT.md §2).
package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNotCanonical is returned for JSON that is valid but not in the one
// spelling, or not valid for the type at all.
var ErrNotCanonical = errors.New("not canonical JSON")

// Marshal returns the canonical encoding of v. The types given must encode
// deterministically: structs, slices, strings, integers, booleans and maps with
// string keys; no floats, no interfaces. Strings must be valid UTF-8, else the
// result would not decode to v.
func Marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Unmarshal decodes b into v, which must be a non-nil pointer to a zero value,
// and refuses every encoding but the one Marshal gives.
func Unmarshal(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	again, err := Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("%w: differs from its re-encoding at byte %d", ErrNotCanonical, firstDifference(again, b))
	}
	return nil
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
