// Package progress tells people and programs how far a transfer has come: as a
// line that moves on a terminal, as a line now and then in a log, or as JSON.
// It draws when it is told of progress and has no goroutine of its own.
package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"
)

// Mode is how progress is shown.
type Mode uint8

const (
	None  Mode = iota
	Line       // one line that moves; for terminals
	Plain      // a line now and then
	JSON       // an object now and then
)

// every is how long after one report the next may come.
func (m Mode) every() time.Duration {
	return map[Mode]time.Duration{Line: 100 * time.Millisecond, Plain: 15 * time.Second, JSON: time.Second}[m]
}

// Schema is what "schema" says in JSON.
const Schema = "aivault.progress/1"

// Step is how far something has come.
type Step struct {
	What   string // what is being done, one word or a few
	Done   int64  // bytes
	Total  int64  // bytes; 0: not known yet
	Reused int64  // of the bytes done, those that the other side had already
	Saved  int64  // of the bytes done, those that encoding spared
}

// Meter shows the progress of one command. It is safe for concurrent use.
type Meter struct {
	mode  Mode
	out   *Screen
	now   func() time.Time
	width func() int         // of the terminal, in columns
	size  func(int64) string // how a number of bytes is written

	mu      sync.Mutex
	start   time.Time
	told    time.Time
	last    Step
	samples []sample
}

type sample struct {
	at   time.Time
	done int64
}

const (
	// window is over how many samples, sampleEvery apart, a rate is measured.
	window      = 10
	sampleEvery = time.Second
)

// New returns a meter that shows progress on out. width tells the columns of a
// terminal, 0 if it cannot; size spells a number of bytes.
func New(out *Screen, mode Mode, now func() time.Time, width func() int, size func(int64) string) *Meter {
	return &Meter{mode: mode, out: out, now: now, width: width, size: size}
}

// Update tells the meter how far things have come. What goes back, or changes
// its name, starts a new measurement.
func (m *Meter) Update(s Step) {
	if m.mode == None {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.start.IsZero() || s.What != m.last.What || s.Done < m.last.Done {
		m.start, m.samples = now, []sample{{now, s.Done}}
		if m.told.IsZero() {
			m.told = now
		}
	}
	m.last = s
	if now.Sub(m.samples[len(m.samples)-1].at) >= sampleEvery {
		if m.samples = append(m.samples, sample{now, s.Done}); len(m.samples) > window {
			m.samples = m.samples[1:]
		}
	}
	if now.Sub(m.told) >= m.mode.every() {
		m.told = now
		m.tell(now)
	}
}

// Close takes the moving line away, and tells JSON readers how things ended.
func (m *Meter) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.mode == Line:
		m.out.Clear()
	case m.mode == JSON && !m.start.IsZero():
		m.tell(m.now())
	}
}

type stepJSON struct {
	Schema string  `json:"schema"`
	What   string  `json:"what"`
	Done   int64   `json:"done_bytes"`
	Total  int64   `json:"total_bytes,omitempty"`
	Reused int64   `json:"reused_bytes,omitempty"`
	Saved  int64   `json:"saved_bytes,omitempty"`
	Rate   int64   `json:"bytes_per_second"`
	Left   float64 `json:"seconds_left,omitempty"`
}

func (m *Meter) tell(now time.Time) {
	rate, left := m.rate(now)
	switch m.mode {
	case JSON:
		_ = json.NewEncoder(m.out).Encode(stepJSON{Schema, m.last.What, m.last.Done, m.last.Total, m.last.Reused, m.last.Saved, rate, left.Seconds()})
	case Plain:
		io.WriteString(m.out, "aivault: "+m.text(rate, left)+"\n")
	case Line:
		line := m.text(rate, left)
		// One column less than the terminal has: some wrap when the last is filled.
		if w := m.width(); w > 0 && utf8.RuneCountInString(line) > w-1 {
			line = string([]rune(line)[:max(w-1, 0)])
		}
		m.out.status(line)
	}
}

// rate returns the bytes a second lately, and how long the rest will take at
// that rate, 0 if that is not known.
func (m *Meter) rate(now time.Time) (int64, time.Duration) {
	first := m.samples[0]
	elapsed := now.Sub(first.at).Seconds()
	if elapsed <= 0 {
		return 0, 0
	}
	rate := int64(float64(m.last.Done-first.done) / elapsed)
	if rate <= 0 || m.last.Total <= m.last.Done {
		return rate, 0
	}
	seconds := float64(m.last.Total-m.last.Done) / float64(rate)
	if seconds > 100*3600 {
		return rate, 0
	}
	return rate, time.Duration(seconds * float64(time.Second)).Round(time.Second)
}

func (m *Meter) text(rate int64, left time.Duration) string {
	s := m.last
	text := fmt.Sprintf("%s: %s", s.What, m.size(s.Done))
	if s.Total > 0 {
		text += fmt.Sprintf(" of %s (%d %%)", m.size(s.Total), min(s.Done, s.Total)*100/s.Total)
	}
	text += fmt.Sprintf(", %s/s", m.size(rate))
	if left > 0 {
		text += fmt.Sprintf(", %s left", left)
	}
	if s.Reused > 0 {
		text += fmt.Sprintf(", %s there already", m.size(s.Reused))
	}
	if s.Saved > 0 {
		text += fmt.Sprintf(", %s saved", m.size(s.Saved))
	}
	return text
}
