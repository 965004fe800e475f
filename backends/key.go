package backends

import (
	"fmt"
	"strings"
)

// CheckKey reports whether key may name an object: 1 to MaxKey bytes of
// [a-z0-9/.-], with no empty segment and none made of dots alone, so that it is
// a valid relative path everywhere. Nor may one key be a path prefix of another
// within a vault (versitygw and directories cannot hold both); the layout sees
// to that.
func CheckKey(key string) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("key of %d bytes: %w", len(key), Invalid)
	}
	for seg := range strings.SplitSeq(key, "/") {
		if strings.Trim(seg, ".") == "" {
			return fmt.Errorf("key %q: bad segment %q: %w", key, seg, Invalid)
		}
	}
	if i := strings.IndexFunc(key, func(r rune) bool { return !keyRune(r) }); i >= 0 {
		return fmt.Errorf("key %q: byte %d is not in [a-z0-9/.-]: %w", key, i, Invalid)
	}
	return nil
}

// CheckPrefix is CheckKey for what a listing starts with: any beginning of a
// valid key, the empty one included. Every segment that a '/' ends must
// therefore be one that a key may have.
func CheckPrefix(prefix string) error {
	if len(prefix) > MaxKey {
		return fmt.Errorf("prefix of %d bytes: %w", len(prefix), Invalid)
	}
	if i := strings.IndexFunc(prefix, func(r rune) bool { return !keyRune(r) }); i >= 0 {
		return fmt.Errorf("prefix %q: byte %d is not in [a-z0-9/.-]: %w", prefix, i, Invalid)
	}
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		for seg := range strings.SplitSeq(prefix[:i], "/") {
			if strings.Trim(seg, ".") == "" {
				return fmt.Errorf("prefix %q: bad segment %q: %w", prefix, seg, Invalid)
			}
		}
	}
	return nil
}

func keyRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '/' || r == '.' || r == '-'
}
