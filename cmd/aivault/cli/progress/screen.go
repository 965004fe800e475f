package progress

import (
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// Screen shares a terminal between lines that stay and one at the bottom that
// changes. It uses a carriage return and blanks, no escape codes. It is safe
// for concurrent use.
type Screen struct {
	mu    sync.Mutex
	w     io.Writer
	shown int // columns of the status line on display
}

// NewScreen returns a screen that writes to w.
func NewScreen(w io.Writer) *Screen { return &Screen{w: w} }

// Write writes what stays, above the status line, which goes until it is set again.
func (s *Screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.clear(); err != nil {
		return 0, err
	}
	return s.w.Write(b)
}

// Clear takes the status line away, before something else is written to the
// same terminal.
func (s *Screen) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.clear()
}

// status shows one line in place of the last one.
func (s *Screen) status(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := utf8.RuneCountInString(line)
	text := "\r" + line
	if s.shown > n {
		text += strings.Repeat(" ", s.shown-n)
	}
	if _, err := io.WriteString(s.w, text); err == nil {
		s.shown = n
	}
}

func (s *Screen) clear() error {
	if s.shown == 0 {
		return nil
	}
	_, err := io.WriteString(s.w, "\r"+strings.Repeat(" ", s.shown)+"\r")
	s.shown = 0
	return err
}
