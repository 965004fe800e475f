package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const (
	processTime   = time.Minute // how long a credential process may take
	processOutput = 64 << 10    // how much it may print, in bytes
)

// fromProcess runs the program that the user's own configuration names. No
// shell is involved. It sees the environment without aivault's variables, among
// which an identity may stand.
func (o Options) fromProcess(ctx context.Context, command string) (Value, error) {
	args, err := splitCommand(command)
	if err != nil {
		return Value{}, fmt.Errorf("credential_process: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, processTime)
	defer cancel()
	out := &limited{left: processOutput}
	cmd := exec.CommandContext(bounded, args[0], args[1:]...)
	cmd.Env = slices.DeleteFunc(cmd.Environ(), func(v string) bool { return strings.HasPrefix(v, "AIVAULT_") })
	cmd.Stdout = out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return Value{}, ctx.Err()
		}
		if out.over {
			err = fmt.Errorf("it printed more than %d bytes", processOutput)
		}
		return Value{}, fmt.Errorf("credential_process %s: %w", args[0], err)
	}
	var answer struct {
		Version         int
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      time.Time
	}
	if err := json.Unmarshal(out.buf.Bytes(), &answer); err != nil {
		return Value{}, fmt.Errorf("credential_process %s: it did not print the JSON that is asked of it", args[0])
	}
	if answer.Version != 1 || answer.AccessKeyID == "" || answer.SecretAccessKey == "" {
		return Value{}, fmt.Errorf("credential_process %s: its JSON lacks Version 1, AccessKeyId or SecretAccessKey", args[0])
	}
	return Value{AccessKey: answer.AccessKeyID, SecretKey: answer.SecretAccessKey, Token: answer.SessionToken, Expires: answer.Expiration}, nil
}

// splitCommand cuts a command at blanks; quotes of either kind keep blanks, and
// double ones know \" and \\.
func splitCommand(s string) ([]string, error) {
	var args []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	escaped := false
	for _, r := range s {
		switch {
		case escaped:
			if r != '"' && r != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case quote == '"' && r == '\\':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			if inWord {
				args = append(args, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote is not closed")
	}
	if inWord {
		args = append(args, word.String())
	}
	if len(args) == 0 || args[0] == "" {
		return nil, errors.New("no program is named")
	}
	return args, nil
}

// limited is a buffer that refuses to grow beyond a bound. The buffer is not
// embedded: its ReadFrom would go round the bound.
type limited struct {
	buf  bytes.Buffer
	left int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		l.over = true
		return 0, io.ErrShortWrite
	}
	l.left -= len(p)
	return l.buf.Write(p)
}
