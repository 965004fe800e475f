package progress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func meter(mode Mode, width int) (*Meter, *bytes.Buffer, *clock) {
	var b bytes.Buffer
	c := &clock{t: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	m := New(NewScreen(&b), mode, c.now, func() int { return width }, func(n int64) string { return fmt.Sprintf("%d B", n) })
	return m, &b, c
}

func TestPlain(t *testing.T) {
	m, b, c := meter(Plain, 80)
	for i := range int64(40) {
		m.Update(Step{What: "push", Done: i * 10, Total: 1000})
		c.add(time.Second)
	}
	m.Close()
	want := "aivault: push: 150 B of 1000 B (15 %), 10 B/s, 1m25s left\naivault: push: 300 B of 1000 B (30 %), 10 B/s, 1m10s left\n"
	if b.String() != want {
		t.Errorf("got %q", b)
	}
}

func TestShortWorkIsSilent(t *testing.T) {
	m, b, c := meter(Plain, 80)
	m.Update(Step{What: "pull", Done: 0, Total: 10})
	c.add(time.Second)
	m.Update(Step{What: "pull", Done: 10, Total: 10})
	m.Close()
	if b.Len() > 0 {
		t.Errorf("got %q", b)
	}
}

func TestJSON(t *testing.T) {
	m, b, c := meter(JSON, 80)
	for i := range int64(3) {
		m.Update(Step{What: "pull", Done: i * 100, Total: 1000})
		c.add(time.Second)
	}
	m.Close()
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	var last stepJSON
	for _, l := range lines {
		if err := json.Unmarshal([]byte(l), &last); err != nil || last.Schema != Schema {
			t.Fatalf("%q: %v", l, err)
		}
	}
	if len(lines) != 3 || last.Done != 200 || last.Total != 1000 {
		t.Errorf("got %q", lines)
	}
}

func TestWhatWasSpared(t *testing.T) {
	m, b, c := meter(JSON, 0)
	m.Update(Step{What: "push"})
	c.add(time.Second)
	m.Update(Step{What: "push", Done: 100, Reused: 30, Saved: 20})
	if got := b.String(); !strings.Contains(got, `"done_bytes":100,"reused_bytes":30,"saved_bytes":20,`) {
		t.Errorf("got %s", got)
	}
	m, b, c = meter(Plain, 0)
	m.Update(Step{What: "push"})
	c.add(time.Minute)
	m.Update(Step{What: "push", Done: 100, Reused: 30, Saved: 20})
	if got := b.String(); !strings.Contains(got, "30") || !strings.Contains(got, "there already, ") || !strings.Contains(got, " saved\n") {
		t.Errorf("got %s", got)
	}
}

func TestLineIsReplacedAndTakenAway(t *testing.T) {
	m, b, c := meter(Line, 80)
	m.Update(Step{What: "pull", Done: 1, Total: 0})
	c.add(time.Second)
	m.Update(Step{What: "pull", Done: 123456, Total: 0})
	c.add(time.Second)
	m.Update(Step{What: "x", Done: 1, Total: 0})
	c.add(time.Second)
	m.Update(Step{What: "x", Done: 2, Total: 0})
	m.out.Write([]byte("warning\n"))
	m.Close()
	if got := render(b.String()); got != "warning\n" {
		t.Errorf("on the screen stays %q", got)
	}
	if strings.ContainsRune(b.String(), '\x1b') {
		t.Error("an escape code")
	}
}

func TestLineFits(t *testing.T) {
	for _, width := range []int{1, 2, 20} {
		m, b, c := meter(Line, width)
		m.Update(Step{What: "pull", Done: 1, Total: 5})
		c.add(time.Second)
		m.Update(Step{What: "pull", Done: 2, Total: 5})
		if n := len(strings.TrimPrefix(b.String(), "\r")); n >= width && n > 0 {
			t.Errorf("%d columns on a terminal of %d", n, width)
		}
	}
}

func TestNone(t *testing.T) {
	m, b, c := meter(None, 80)
	m.Update(Step{What: "pull", Done: 1, Total: 5})
	c.add(time.Hour)
	m.Update(Step{What: "pull", Done: 2, Total: 5})
	m.Close()
	if b.Len() > 0 {
		t.Errorf("got %q", b)
	}
}

func TestConcurrent(t *testing.T) {
	m, _, c := meter(Line, 80)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 100 {
				m.Update(Step{What: "push", Done: int64(i*100 + j), Total: 400})
				c.add(time.Millisecond)
			}
		})
	}
	wg.Wait()
	m.Close()
}

// render plays what was written on a terminal and returns what stays.
func render(s string) string {
	var out strings.Builder
	var line []rune
	column := 0
	for _, r := range s {
		switch r {
		case '\r':
			column = 0
		case '\n':
			out.WriteString(strings.TrimRight(string(line), " ") + "\n")
			line, column = nil, 0
		default:
			if column == len(line) {
				line = append(line, r)
			} else {
				line[column] = r
			}
			column++
		}
	}
	return out.String() + strings.TrimRight(string(line), " ")
}
