// Package setting reads what a plugin is configured with: attributes in one
// line, which is shown and remembered, and secrets that it only says the place
// of.
package setting

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/aivault/aivault/crypto/custody"
)

// Attributes reads name=value pairs, percent-encoded, into the variables of the
// names that there are; each may come once, with a value. Errors are
// custody.ErrInvalid and repeat no values.
func Attributes(text, separator string, into map[string]*string) error {
	seen := map[string]bool{}
	for _, pair := range strings.Split(text, separator) {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		v, known := into[name]
		switch {
		case !known:
			return bad("there is no attribute %q here", name)
		case seen[name]:
			return bad("%s comes twice", name)
		}
		seen[name] = true
		decoded, err := url.PathUnescape(value)
		if err != nil || decoded == "" || strings.ContainsRune(decoded, 0) {
			return bad("%s has no value that can be read", name)
		}
		*v = decoded
	}
	return nil
}

// Secret is where a secret is: in a file, or in a variable of the environment.
type Secret struct{ File, Variable string }

// ParseSecret reads file:/PATH, /PATH or env:NAME; name is that of the setting.
func ParseSecret(name, text string) (Secret, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch path := strings.TrimPrefix(rest, "//"); {
	case kind == "env" && rest != "":
		return Secret{Variable: rest}, nil
	case kind == "file" && filepath.IsAbs(path):
		return Secret{File: path}, nil
	case filepath.IsAbs(text):
		return Secret{File: text}, nil
	}
	return Secret{}, bad("%s is file:/PATH or env:NAME", name)
}

// maxSecret bounds a secret, in bytes.
const maxSecret = 1024

// Read reads the secret, without the end of its line. lookup looks into the
// environment. Errors are custody.ErrDenied.
func (s Secret) Read(lookup func(string) (string, bool)) (string, error) {
	if s.Variable != "" {
		v, ok := lookup(s.Variable)
		if !ok || v == "" {
			return "", fmt.Errorf("the variable %s is not set; a plugin is given those that it was added with: %w", s.Variable, custody.ErrDenied)
		}
		return v, nil
	}
	f, err := os.Open(s.File)
	if err != nil {
		return "", fmt.Errorf("%w: %w", custody.ErrDenied, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", fmt.Errorf("%w: %w", custody.ErrDenied, err)
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty: %w", s.File, custody.ErrDenied)
	}
	return text, nil
}

func bad(format string, args ...any) error {
	return fmt.Errorf("the plugin's configuration: %s: %w", fmt.Sprintf(format, args...), custody.ErrInvalid)
}
