package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/identity"
)

const (
	keyVariable        = "AIVAULT_IDENTITY_KEY"
	passphraseVariable = "AIVAULT_PASSPHRASE_FILE"
	// maxPassphrase bounds a passphrase's file, in bytes.
	maxPassphrase = 4 << 10
)

// identitySource says where the identity comes from: --identity SRC, else
// AIVAULT_IDENTITY, else AIVAULT_IDENTITY_KEY, which holds it, else the
// configuration file, else the default file.
func (r *run) identitySource() (string, error) {
	key, _ := r.sys.env(keyVariable)
	from := r.set.where("identity").Origin
	if key != "" && from == "environment" {
		return "", usage("AIVAULT_IDENTITY and %s are both set; one of them says who you are", keyVariable)
	}
	if key != "" && from != "flag" {
		return "env:" + keyVariable, nil
	}
	if r.set.identity != "" {
		return r.set.identity, nil
	}
	path := defaultIdentityPath()
	if path == "" {
		return "", hint(usage("no identity is named, and this user has no home to look in"), "use --identity SRC or "+keyVariable)
	}
	return path, nil
}

// identity loads the identity of whoever runs the program.
func (r *run) identity(ctx context.Context) (*identity.Identity, error) {
	source, err := r.identitySource()
	if err != nil {
		return nil, err
	}
	id, err := r.identityFrom(ctx, source)
	if errors.Is(err, fs.ErrNotExist) && r.set.identity == "" {
		return nil, hint(usage("you have no identity yet: there is no file %s", source), "make one with aivault identity new "+source+", or name one with --identity")
	}
	return id, err
}

// identityFrom loads an identity from a source in the form that --identity takes.
func (r *run) identityFrom(ctx context.Context, source string) (*identity.Identity, error) {
	b, err := r.readSource(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("the identity (%s): %w", sourceName(source), err)
	}
	defer clear(b)
	id, err := identity.Parse(b, func() (string, error) { return r.passphrase(ctx, sourceName(source)) })
	if err != nil {
		return nil, fmt.Errorf("the identity (%s): %w", sourceName(source), err)
	}
	return id, nil
}

// sourceName is what messages call a source: of a command, the program alone.
func sourceName(source string) string {
	command, ok := strings.CutPrefix(source, "exec:")
	if !ok {
		return source
	}
	words, err := splitCommand(command)
	if err != nil {
		return "exec:…"
	}
	return "exec:" + words[0]
}

func (r *run) readSource(ctx context.Context, source string) ([]byte, error) {
	kind, rest, _ := strings.Cut(source, ":")
	switch {
	case source == "-":
		if err := r.takeStdin("--identity -"); err != nil {
			return nil, err
		}
		return readSecret(r.sys.stdin, identity.MaxFile)
	case kind == "env":
		v, ok := r.sys.env(rest)
		if !ok || v == "" {
			return nil, usage("the variable %s is not set", rest)
		}
		r.sys.unset(rest) // programs that are started later need not know it
		return []byte(v), nil
	case kind == "fd":
		return readDescriptor(rest)
	case kind == "exec":
		return r.runHelper(ctx, rest)
	}
	warning, err := identity.CheckPermissions(source)
	if errors.Is(err, fs.ErrPermission) {
		return nil, usage("%w", err)
	}
	if err != nil {
		return nil, err
	}
	if warning != "" {
		r.log.Warn(warning)
	}
	f, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readSecret(f, identity.MaxFile)
}

// readDescriptor reads a file that whoever started the program has opened for it.
func readDescriptor(number string) ([]byte, error) {
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n < 3 {
		return nil, usage("fd:N takes the number of an open file, from 3; standard input is -")
	}
	f := os.NewFile(uintptr(n), "fd:"+number)
	if f == nil {
		return nil, usage("fd:%s is not open", number)
	}
	b, err := readSecret(f, identity.MaxFile)
	if err != nil {
		// Not closed: it may be one that the Go runtime opened for itself.
		return nil, usage("fd:%s cannot be read: %w", number, err)
	}
	return b, f.Close()
}

// readSecret reads at most limit bytes and one more, by which the reader of the
// format knows that it is too long.
func readSecret(f io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// runHelper runs the command that prints the identity, e.g. a secrets manager's.
// It gets no input, and no variable that held an identity.
func (r *run) runHelper(ctx context.Context, command string) ([]byte, error) {
	words, err := splitCommand(command)
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	var out bytes.Buffer
	limited := &limitedWriter{w: &out, left: identity.MaxFile}
	c.Stdout = limited
	c.Stderr = r.sys.errOut
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 5 * time.Second
	err = c.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.left < 0:
		return nil, usage("%s printed more than an identity", words[0])
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return nil, usage("there is no program %q", words[0])
	case err != nil:
		return nil, fmt.Errorf("running %s: %w", words[0], err)
	}
	return out.Bytes(), nil
}

// limitedWriter fails once more is written than it takes, which ends a program
// that writes to it; left is negative from then on.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		l.left = -1
		return 0, io.ErrShortWrite
	}
	return l.w.Write(b)
}

// passphrase finds the passphrase of a protected identity.
func (r *run) passphrase(ctx context.Context, source string) (string, error) {
	if path, _ := r.sys.env(passphraseVariable); path != "" {
		return r.readPassphrase(path)
	}
	if !r.mayAsk() {
		return "", fmt.Errorf("%w: none was given", identity.ErrPassphrase)
	}
	return r.askPassphrase(ctx, "Passphrase of "+printable(source))
}

// readPassphrase reads a passphrase from a file: its content without the line
// end.
func (r *run) readPassphrase(path string) (string, error) {
	warning, err := identity.CheckPermissions(path)
	if err == nil && warning != "" {
		r.log.Warn("the passphrase's file: " + warning)
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return "", usage("%s: %w", passphraseVariable, err)
	}
	defer f.Close()
	b, err := readSecret(f, maxPassphrase)
	if err != nil {
		return "", fmt.Errorf("%s: %w", passphraseVariable, err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" || len(text) > maxPassphrase {
		return "", usage("%s: %s holds no passphrase", passphraseVariable, path)
	}
	return text, nil
}

// splitCommand splits a command into words without a shell. Blanks separate
// words; 'single quotes' take everything as it stands, "double quotes" too but
// for \" and \\; elsewhere a backslash is nothing special. What a shell would
// expand or interpret is refused, so that nobody relies on it.
func splitCommand(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t':
			if inWord {
				words, inWord = append(words, word.String()), false
				word.Reset()
			}
			continue
		case '\'', '"':
			inWord = true
			end := quoted(s[i+1:], c, &word)
			if end < 0 {
				return nil, usage("exec: the closing %c is missing", c)
			}
			i += end + 1
			continue
		case '|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?', '[', '#', '~', '\n', '\r':
			return nil, hint(usage("exec: %q has no meaning here, since no shell runs the command", c), "quote it, or write exec:sh -c '…'")
		default:
			inWord = true
			word.WriteByte(c)
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, usage("exec: no command is named")
	}
	return words, nil
}

// quoted writes what stands before the closing quote and returns where that is,
// −1 if nowhere.
func quoted(s string, quote byte, word *strings.Builder) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return i
		case quote == '"' && s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		}
		word.WriteByte(s[i])
	}
	return -1
}
