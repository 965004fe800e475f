package cli

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// logHandler writes warnings and what --log-level asks for to stderr: a line
// for people, or a JSON object with --json.
type logHandler struct {
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
	mu    *sync.Mutex
}

func newLogHandler(w io.Writer, level slog.Level, asJSON bool) slog.Handler {
	if !asJSON {
		return &logHandler{w: w, level: level, mu: new(sync.Mutex)}
	}
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.MessageKey {
			a.Key = "message"
		}
		if len(groups) == 0 && a.Key == slog.LevelKey {
			a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
		}
		return a
	}})
	return h.WithAttrs([]slog.Attr{slog.String("schema", "aivault.log/1")})
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *logHandler) Handle(_ context.Context, rec slog.Record) error {
	var b strings.Builder
	b.WriteString("aivault: ")
	switch {
	case rec.Level >= slog.LevelError:
		b.WriteString("error: ")
	case rec.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	}
	b.WriteString(printable(rec.Message))
	write := func(a slog.Attr) bool {
		b.WriteString(" " + a.Key + "=" + printable(a.Value.Resolve().String()))
		return true
	}
	for _, a := range h.attrs {
		write(a)
	}
	rec.Attrs(write)
	b.WriteString("\n")
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.attrs = append(n.attrs[:len(n.attrs):len(n.attrs)], attrs...)
	return &n
}

// WithGroup is not needed by anything that logs here.
func (h *logHandler) WithGroup(string) slog.Handler { return h }
