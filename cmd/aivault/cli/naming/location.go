// Package naming reads the names people type: where a vault is, which version
// of which artefact they mean, where keys are kept. It does no I/O but to make
// a path absolute. Errors name what was wrong and never repeat a URL, in which
// somebody may have put a password.
package naming

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/aivault/aivault/backends/s3"
	"github.com/aivault/aivault/vault/state"
)

// ErrInvalid marks a name that cannot be understood.
var ErrInvalid = errors.New("invalid name")

// Location is where a store is: a directory, what a plugin reaches, or a place in
// a bucket.
type Location struct {
	Dir    string    // absolute; "" for all else
	Plugin Plugin    // zero for all else
	S3     s3.Config // the part that a URL has
}

// Lookup returns the location that a name stands for on this machine.
type Lookup func(name string) (location string, ok bool, err error)

// ParseLocation reads a vault's location: s3://BUCKET/PREFIX?…, file:///DIR, a
// path, plugin:NAME:CONFIG, or a name that lookup, which may be nil, knows. A word
// without a slash that is no such name is a path.
func ParseLocation(text string, lookup Lookup) (Location, error) {
	if IsName(text) && lookup != nil {
		there, ok, err := lookup(text)
		if err != nil {
			return Location{}, err
		}
		if ok {
			l, err := ParseLocation(there, nil)
			if err != nil {
				return Location{}, fmt.Errorf("the vault called %s: %w", text, err)
			}
			return l, nil
		}
	}
	scheme, _, isURL := strings.Cut(text, "://")
	switch {
	case text == "":
		return Location{}, invalid("no vault is named")
	case strings.HasPrefix(text, "s3://"):
		c, err := s3.ParseURL(text)
		if err != nil {
			return Location{}, invalid("%w", err)
		}
		return Location{S3: c}, nil
	case strings.HasPrefix(text, "file:"):
		return parseFileURL(text)
	case strings.HasPrefix(text, addressScheme):
		return Location{}, invalid("an aivault:// address names an artefact; a vault is named by its URL, its path or the name that join gave it")
	case strings.HasPrefix(text, pluginScheme):
		p, err := parsePlugin(text)
		return Location{Plugin: p}, err
	case isURL:
		return Location{}, invalid("a vault cannot be at %s://; use s3://, file:///, plugin:NAME:CONFIG or a path", scheme)
	case text[0] == '~':
		return Location{}, invalid("~ stands unexpanded in the path; write $HOME, or ./~ if the directory has that name")
	case isDrivePath(text) && runtime.GOOS != "windows":
		return Location{}, invalid("%s is a Windows path; if a directory has that name, write ./%s", text, text)
	}
	return atPath(text)
}

// IsName says whether text could be the name of a vault on this machine.
func IsName(text string) bool { return state.CheckShortName(text) == nil }

func atPath(path string) (Location, error) {
	if strings.ContainsRune(path, 0) {
		return Location{}, invalid("the path contains a zero byte")
	}
	dir, err := filepath.Abs(path)
	if err != nil {
		return Location{}, err
	}
	return Location{Dir: dir}, nil
}

func parseFileURL(text string) (Location, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Location{}, invalid("the file URL does not parse")
	}
	if u.Host != "" && u.Host != "localhost" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || !strings.HasPrefix(u.Path, "/") {
		return Location{}, invalid("a file URL has the form file:///DIR")
	}
	path := u.Path
	if isDrivePath(path[1:]) && runtime.GOOS == "windows" {
		path = path[1:]
	}
	return atPath(filepath.FromSlash(path))
}

// isDrivePath: one letter before a colon is a Windows drive.
func isDrivePath(s string) bool {
	return len(s) >= 2 && s[1] == ':' && (s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z')
}

// String is the canonical spelling, which ParseLocation takes.
func (l Location) String() string {
	switch {
	case l.Plugin.Name != "":
		return l.Plugin.String()
	case l.Dir == "":
		return l.S3.URL()
	}
	path := filepath.ToSlash(l.Dir)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// Place is the canonical spelling without what says how to get there: one vault
// is one place, whoever comes with whichever profile.
func (l Location) Place() string {
	l.S3.Profile, l.S3.RoleARN = "", ""
	return l.String()
}

// invalidError says one sentence and is ErrInvalid.
type invalidError struct{ error }

func (e *invalidError) Is(target error) bool { return target == ErrInvalid }
func (e *invalidError) Unwrap() error        { return e.error }

func invalid(format string, a ...any) error {
	return &invalidError{fmt.Errorf(format, a...)}
}
