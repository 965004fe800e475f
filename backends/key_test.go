package backends_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends"
	"pgregory.net/rapid"
)

func TestCheckKey(t *testing.T) {
	long := strings.Repeat("x", backends.MaxKey)
	for key, ok := range map[string]bool{
		"a": true, "a/b": true, "a.b-c/0": true, ".a": true, "a.": true, "-": true, "..a/b": true, long: true,
		"": false, long + "x": false, "A": false, "a b": false, "a_b": false, "a\x00": false, "\u00e4": false, "\xff": false,
		"/": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "...": false, "a/./b": false, "a/../b": false, "../a": false,
	} {
		if err := backends.CheckKey(key); (err == nil) != ok || err != nil && !errors.Is(err, backends.Invalid) {
			t.Errorf("CheckKey(%q): %v, want ok %v", key, err, ok)
		}
	}
}

// keyBytes are those of valid keys and some others.
func keyBytes() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune("ab0.-//..A_ \x00\u00e4")), 0, 12, -1)
}

// A prefix is valid exactly if some valid key starts with it.
func TestCheckPrefixIsAnyBeginningOfAKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := keyBytes().Draw(t, "prefix")
		begins := prefix == "" || backends.CheckKey(prefix) == nil || backends.CheckKey(prefix+"x") == nil
		if err := backends.CheckPrefix(prefix); (err == nil) != begins || err != nil && !errors.Is(err, backends.Invalid) {
			t.Fatalf("CheckPrefix(%q): %v, but begins a valid key: %v", prefix, err, begins)
		}
	})
	if err := backends.CheckPrefix(strings.Repeat("x", backends.MaxKey+1)); !errors.Is(err, backends.Invalid) {
		t.Errorf("a prefix longer than any key: %v", err)
	}
}
