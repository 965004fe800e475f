package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// usage is what running something took.
type usage struct {
	Wall time.Duration
	CPU  time.Duration // user and system time, of all processes together
	Peak int64         // bytes of resident memory at most; 0: unknown
}

// command is a program to run.
type command struct {
	args []string
	dir  string   // where it runs
	env  []string // all of its environment
}

// pipeline is commands that run at once, each reading what the one before it
// prints. output, if any, is the file that the last one prints to.
type pipeline struct {
	commands []command
	output   string
}

// alone is a pipeline of one.
func alone(dir string, env []string, args ...string) []pipeline {
	return []pipeline{{commands: []command{{args, dir, env}}}}
}

// measure runs pipelines one after the other, from cold, and says what they took
// together. Peak is that of the pipeline that needed most.
func measure(ctx context.Context, pipelines []pipeline) (usage, error) {
	var sum usage
	began := time.Now()
	for _, p := range pipelines {
		u, err := p.run(ctx)
		if err != nil {
			return sum, err
		}
		sum.CPU += u.CPU
		sum.Peak = max(sum.Peak, u.Peak)
	}
	sum.Wall = time.Since(began)
	return sum, nil
}

func (p *pipeline) run(ctx context.Context) (_ usage, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a program whose neighbour failed is not waited for
	var held []*os.File
	release := func() {
		for _, f := range held {
			f.Close()
		}
		held = nil
	}
	defer release()
	cmds := make([]*exec.Cmd, len(p.commands))
	says := make([]bytes.Buffer, len(p.commands))
	for i, c := range p.commands {
		cmds[i] = exec.CommandContext(ctx, c.args[0], c.args[1:]...)
		cmds[i].Dir, cmds[i].Env, cmds[i].Stderr = c.dir, c.env, &says[i]
		cmds[i].WaitDelay = time.Second // for what a killed one may have started
		if i > 0 {
			r, w, err := os.Pipe()
			if err != nil {
				return usage{}, err
			}
			held = append(held, r, w)
			cmds[i-1].Stdout, cmds[i].Stdin = w, r
		}
	}
	if p.output != "" {
		f, err := os.Create(p.output)
		if err != nil {
			return usage{}, err
		}
		held = append(held, f)
		cmds[len(cmds)-1].Stdout = f
	}
	return runAll(cmds, says, release)
}

// runAll starts commands, calls started, and waits for all of them.
func runAll(cmds []*exec.Cmd, says []bytes.Buffer, started func()) (usage, error) {
	began := time.Now()
	var peaks []*peak
	var failed error
	running := 0
	for _, c := range cmds {
		if failed = c.Start(); failed != nil {
			break
		}
		running++
		peaks = append(peaks, watchPeak(c.Process.Pid))
	}
	started()
	var u usage
	if failed != nil {
		for _, c := range cmds[:running] {
			_ = c.Process.Kill() // it may have ended by itself
		}
	}
	for i, c := range cmds[:running] {
		err := c.Wait()
		u.Peak += peaks[i].stop()
		if err != nil { // of several, any may be why
			failed = errors.Join(failed, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, tail(says[i].Bytes())))
		}
		u.CPU += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	u.Wall = time.Since(began)
	return u, failed
}

// tail is the end of what a program printed.
func tail(b []byte) []byte { return b[max(0, len(b)-2<<10):] }
