package custody_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/custody"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		what  string
		check func(string) error
		good  []string
		bad   []string
	}{
		{"label", custody.CheckLabel,
			[]string{"a", "-", "0", "az-09", strings.Repeat("x", custody.MaxLabel)},
			[]string{"", "A", "a.b", "a/b", "a b", "a_b", "é", "a\n", "`", "{", "@", strings.Repeat("x", custody.MaxLabel+1)}},
		{"prefix", custody.CheckLabelPrefix,
			[]string{"", "a", "-", strings.Repeat("x", custody.MaxLabel)},
			[]string{"A", ".", "/", strings.Repeat("x", custody.MaxLabel+1)}},
		{"ref", func(s string) error { return custody.CheckRef(custody.KeyRef(s)) },
			[]string{"!", "~", "arn:aws:kms:x:1:key/AB_c", strings.Repeat("x", custody.MaxRef)},
			[]string{"", " ", "a b", "a\n", "\x7f", "é", strings.Repeat("x", custody.MaxRef+1)}},
		{"secret", func(s string) error { return custody.CheckSecret([]byte(s)) },
			[]string{"\x00", strings.Repeat("x", custody.MaxSecret)},
			[]string{"", strings.Repeat("x", custody.MaxSecret+1)}},
	} {
		for _, s := range c.good {
			if err := c.check(s); err != nil {
				t.Errorf("%s %q: %v", c.what, s, err)
			}
		}
		for _, s := range c.bad {
			if err := c.check(s); !errors.Is(err, custody.ErrInvalid) {
				t.Errorf("%s %q: %v, want ErrInvalid", c.what, s, err)
			}
		}
	}
}
