package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// limited decodes a JSON array of at most MaxExtents elements. It stops before
// one more is allocated: short spellings of large elements must not amplify.
type limited[T any] []T

func (l *limited[T]) UnmarshalJSON(b []byte) error {
	*l = limited[T]{}
	dec := json.NewDecoder(bytes.NewReader(b))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('[') {
		return errors.New("no array")
	}
	for dec.More() {
		if len(*l) == MaxExtents {
			return errors.New("too many elements")
		}
		var v T
		if err := dec.Decode(&v); err != nil {
			return err
		}
		*l = append(*l, v)
	}
	return nil
}

// decode decodes a document whose first member, "format", must be format.
func decode(b []byte, format string, limit int, v any) error {
	if len(b) > limit {
		return malformed("%s of %d bytes: at most %d are possible", format, len(b), limit)
	}
	if err := checkFormat(string(b[:min(len(b), 64)]), `{"format":"`, format, `"`); err != nil {
		return err
	}
	if err := canonical.Unmarshal(b, v); err != nil {
		return malformed("%s: %w", format, err)
	}
	return nil
}

// checkFormat checks that a document starts with before, format, "name/version",
// and after. Another number of a version is another client's.
func checkFormat(start, before, format, after string) error {
	name, _, _ := strings.Cut(format, "/")
	rest, ok := strings.CutPrefix(start, before+name+"/")
	version, _, ended := strings.Cut(rest, after)
	if n, err := strconv.ParseUint(version, 10, 16); !ok || !ended || err != nil || strconv.FormatUint(n, 10) != version {
		return malformed("no %s", format)
	}
	if name+"/"+version != format {
		return fmt.Errorf("%s/%s: %w", name, version, entry.ErrUpgrade)
	}
	return nil
}
