package host

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"
)

const (
	maxLogLine  = 4 << 10 // bytes of a line; the rest of it is dropped
	maxLogBytes = 1 << 20 // of one life of a plugin; the rest is dropped
	maxLogAttrs = 16
)

// logPipe passes what a plugin says on to a log: a line as slog's JSON handler
// writes it under its level, any other as debugging.
type logPipe struct {
	to *slog.Logger

	mu     sync.Mutex
	passed int    // bytes
	line   string // the last one, or what a program in Go died of
	died   bool
}

// writer returns a writer of lines. It is for one goroutine, beside others.
func (l *logPipe) writer() io.Writer { return &lineWriter{l: l} }

// lineWriter keeps what of a line has come.
type lineWriter struct {
	l    *logPipe
	rest []byte
}

// Write implements [io.Writer]; it never fails and never waits.
func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if room := maxLogLine - len(w.rest); room > 0 {
			w.rest = append(w.rest, line[:min(len(line), room)]...)
		}
		if whole {
			w.l.pass(w.rest)
			w.rest = w.rest[:0]
		}
		rest = after
	}
	return len(p), nil
}

// last is the last line that was passed on.
func (l *logPipe) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line
}

func (l *logPipe) pass(line []byte) {
	level, message, attrs := parse(line)
	if message == "" {
		return
	}
	l.mu.Lock()
	if !l.died {
		l.line = message
		l.died = strings.HasPrefix(message, "panic: ") || strings.HasPrefix(message, "fatal error: ")
	}
	before := l.passed
	l.passed += len(line)
	l.mu.Unlock()
	switch {
	case before > maxLogBytes:
	case before+len(line) > maxLogBytes:
		l.to.Warn("the plugin says too much: nothing more of it is logged")
	default:
		l.to.LogAttrs(context.Background(), level, message, attrs...)
	}
}

// parse reads a line of a log.
func parse(line []byte) (slog.Level, string, []slog.Attr) {
	var fields map[string]json.RawMessage
	var entry struct {
		Level slog.Level `json:"level"`
		Msg   string     `json:"msg"`
	}
	if json.Unmarshal(line, &entry) != nil || json.Unmarshal(line, &fields) != nil || entry.Msg == "" {
		return slog.LevelDebug, plain(string(line)), nil
	}
	var attrs []slog.Attr
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key == slog.LevelKey || key == slog.MessageKey || key == slog.TimeKey || len(attrs) == maxLogAttrs {
			continue
		}
		var text string
		if json.Unmarshal(fields[key], &text) != nil {
			text = string(fields[key])
		}
		attrs = append(attrs, slog.String(plain(key), plain(text)))
	}
	return entry.Level, plain(entry.Msg), attrs
}

// plain makes one line of a text, without what commands a terminal.
func plain(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
}
