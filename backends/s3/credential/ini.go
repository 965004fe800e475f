package credential

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// maxFile bounds the files read here, in bytes.
const maxFile = 1 << 20

// sections maps the name of a section to its keys, in lower case, and values.
type sections map[string]map[string]string

// parseINI reads the format of the shared AWS files
// (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html): sections in
// brackets, key = value, comments after # or ;. Lines that begin with a blank
// belong to a nested setting, of which none matters here.
func parseINI(data []byte) (sections, error) {
	out := sections{}
	var section map[string]string
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxFile)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimPrefix(lines.Text(), "\ufeff")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[':
			name, rest, ok := strings.Cut(trimmed[1:], "]")
			if rest = strings.TrimSpace(rest); !ok || rest != "" && rest[0] != '#' && rest[0] != ';' {
				return nil, fmt.Errorf("line %d: a section must look like [name]", n)
			}
			name = sectionName(name)
			if out[name] == nil {
				out[name] = map[string]string{}
			}
			section = out[name]
		case line[0] == ' ' || line[0] == '\t':
		default:
			key, value, ok := strings.Cut(trimmed, "=")
			if !ok || strings.TrimSpace(key) == "" {
				return nil, fmt.Errorf("line %d: expected key = value", n)
			}
			if section == nil {
				return nil, fmt.Errorf("line %d: a setting stands before the first [section]", n)
			}
			section[strings.ToLower(strings.TrimSpace(key))] = trimComment(value)
		}
	}
	return out, lines.Err()
}

// sectionName joins the words of a section header by one blank and drops the
// quotes that a name may stand in.
func sectionName(s string) string {
	kind, name, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok {
		return unquote(kind)
	}
	return kind + " " + unquote(strings.TrimSpace(name))
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// trimComment cuts a comment, which needs a blank before it.
func trimComment(s string) string {
	for i := 1; i < len(s); i++ {
		if (s[i] == '#' || s[i] == ';') && (s[i-1] == ' ' || s[i-1] == '\t') {
			s = s[:i]
			break
		}
	}
	return strings.TrimSpace(s)
}
