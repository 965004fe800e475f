package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"
)

// A step is measured in a process of its own, which this program starts by
//
//	bench step NAME ARGUMENTS
//
// so that neither its memory nor its garbage collector is anybody else's. It
// prints what it measured as JSON.

// spent is what one measured thing took.
type spent struct {
	Bytes int64   `json:"bytes"` // of plaintext that went through
	Wall  float64 `json:"wall"`  // seconds
	CPU   float64 `json:"cpu"`   // seconds of processor time, of all threads
}

// perCPU is the speed in bytes per processor second, 0 if that is not known.
func (s spent) perCPU() float64 {
	if s.CPU == 0 {
		return 0
	}
	return float64(s.Bytes) / s.CPU
}

func (s spent) perSecond() float64 { return float64(s.Bytes) / s.Wall }

func (s *spent) add(t spent) { s.Bytes += t.Bytes; s.Wall += t.Wall; s.CPU += t.CPU }

// timed measures do, which moves so many bytes.
func timed(bytes int64, do func() error) (spent, error) {
	began, cpu := time.Now(), used()
	err := do()
	return spent{bytes, time.Since(began).Seconds(), used() - cpu}, err
}

// profiled is timed with a processor profile, if file names where to.
func profiled(file string, bytes int64, do func() error) (_ spent, err error) {
	if file == "" {
		return timed(bytes, do)
	}
	f, err := os.Create(file)
	if err != nil {
		return spent{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return spent{}, err
	}
	defer pprof.StopCPUProfile()
	return timed(bytes, do)
}

// runStep runs the step that args name and prints to w.
func runStep(ctx context.Context, w io.Writer, args []string) error {
	steps := map[string]struct {
		arguments string
		run       func(ctx context.Context, args []string) (map[string]spent, error)
	}{
		"hash":    {"DIR", stepHash},
		"kernels": {"DIR", stepKernels},
		"coder":   {"DIR PROFILE", stepCoder},
		"push":    {"DIR PROFILE", stepPush},
		"pull":    {"DIR DEST PROFILE", stepPull},
		"direct":  {"FILE BYTES", stepDirect},
	}
	s, ok := steps[args[0]]
	if !ok {
		return fmt.Errorf("there is no step %q", args[0])
	}
	out, err := s.run(ctx, args[1:])
	if err != nil {
		return fmt.Errorf("step %s: %w", args[0], err)
	}
	return json.NewEncoder(w).Encode(out)
}

// step runs a step in a process of its own.
func (l *lab) step(args ...string) (map[string]spent, error) {
	text, err := l.output(append([]string{l.self, "step"}, args...)...)
	if err != nil {
		return nil, err
	}
	var out map[string]spent
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("step %s printed %q: %w", args[0], text, err)
	}
	return out, nil
}
