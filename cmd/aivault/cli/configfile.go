package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 64 << 10

// configFile is the configuration file: TOML (v1.0.0) of nothing but comments
// and NAME = VALUE lines, where NAME is that of a global flag and VALUE a
// string on one line, a number or a boolean. What else TOML has is refused.
type configFile struct {
	path   string
	values map[string]configValue
}

type configValue struct {
	text string
	line int
}

// readConfig reads the configuration file, if there is one. A file that others
// may write is refused: it can name programs to run.
func readConfig(path string) (configFile, error) {
	c := configFile{path: path}
	if path == "" {
		return c, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return c, hint(usage("others may write the configuration %s (mode %04o)", path, info.Mode().Perm()), "run chmod 600 "+path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	c.values, err = parseConfig(b)
	if err != nil {
		return c, usage("%s:%w", path, err)
	}
	return c, nil
}

// parseConfig reads a configuration file. Errors begin with the line's number.
func parseConfig(b []byte) (map[string]configValue, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("1: the file has more than %d bytes", maxConfig)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("1: the file is not UTF-8")
	}
	known := globalSettings()
	out := map[string]configValue{}
	number := 0
	for line := range bytes.Lines(b) {
		number++
		text := strings.Trim(string(line), " \t\r\n")
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("%d: a control character stands in the line", number)
		}
		if text == "" || text[0] == '#' {
			continue
		}
		name, rest, ok := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(known, func(s setting) bool { return s.name == name })
		switch {
		case !ok:
			return nil, fmt.Errorf("%d: a line has the form NAME = VALUE", number)
		case i < 0:
			return nil, fmt.Errorf("%d: there is no setting %q", number, name)
		case out[name].line > 0:
			return nil, fmt.Errorf("%d: %s stands in line %d already", number, name, out[name].line)
		}
		value, err := parseConfigValue(known[i], strings.TrimSpace(rest))
		if err != nil {
			return nil, fmt.Errorf("%d: %s: %w", number, name, err)
		}
		out[name] = configValue{value, number}
	}
	return out, nil
}

func parseConfigValue(s setting, text string) (string, error) {
	if s.value == "" || s.number {
		word, _, _ := strings.Cut(text, "#")
		word = strings.TrimSpace(word)
		if s.number {
			if _, err := strconv.ParseUint(word, 10, 31); err != nil {
				return "", errors.New("a number without quotes belongs here")
			}
			return word, nil
		}
		if word != "true" && word != "false" {
			return "", errors.New("true or false belongs here, without quotes")
		}
		return word, nil
	}
	value, rest, err := parseConfigString(text)
	if err != nil {
		return "", err
	}
	if rest = strings.TrimSpace(rest); rest != "" && rest[0] != '#' {
		return "", errors.New("only a comment may follow the value")
	}
	return value, nil
}

// parseConfigString reads a TOML string: '…' as it stands, or "…" with escapes.
func parseConfigString(text string) (value, rest string, err error) {
	switch {
	case strings.HasPrefix(text, "'''") || strings.HasPrefix(text, `"""`):
		return "", "", errors.New("strings of several lines are not supported")
	case strings.HasPrefix(text, "'"):
		value, rest, ok := strings.Cut(text[1:], "'")
		if !ok {
			return "", "", errors.New("the closing ' is missing")
		}
		return value, rest, nil
	case !strings.HasPrefix(text, `"`):
		return "", "", errors.New(`a string in "quotes" belongs here`)
	}
	escapes := map[byte]byte{'"': '"', '\\': '\\', 'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f'}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c == '\\' && i+1 < len(text) && escapes[text[i+1]] != 0:
			i++
			b.WriteByte(escapes[text[i]])
		case c == '\\':
			return "", "", errors.New(`only \" \\ \n \t \r \b and \f are escapes here; 'single quotes' have none`)
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New(`the closing " is missing`)
}
