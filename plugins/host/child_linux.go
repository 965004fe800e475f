package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// drainTimeout is how long what a dead process wrote may still be read, which
// lasts for ever where something it started holds on to its pipes.
const drainTimeout = time.Second

// child is the process of a plugin. It is a [runner.Runner], so that go-plugin
// leaves standard input and the executed file to us.
type child struct {
	image   *image
	o       Options
	env     []string // go-plugin's
	sockets string   // the directory of its socket
	log     *logPipe

	mu     sync.Mutex
	id     int  // process, and group of processes
	doomed bool // kill was called
	reaped bool // id is nobody's any more
	stdout *os.File
	stderr *os.File
	done   chan struct{} // closed once the process has ended
	err    error         // how it ended
	drain  *time.Timer   // closes the pipes
	work   sync.WaitGroup
}

func newChild(img *image, o Options) *child {
	return &child{image: img, o: o, done: make(chan struct{}), log: &logPipe{to: o.Log.With("plugin", o.Name)}}
}

// Start implements [runner.Runner].
func (c *child) Start(context.Context) error {
	stdout, toStdout, err := os.Pipe()
	if err != nil {
		return err
	}
	defer toStdout.Close()
	stderr, toStderr, err := os.Pipe()
	if err != nil {
		return errors.Join(err, stdout.Close())
	}
	defer toStderr.Close()
	cmd := &exec.Cmd{
		Path: c.image.path(), Args: []string{"aivault-plugin-" + c.o.Name}, Env: append(c.env, c.o.Env...), Stdout: toStdout, Stderr: toStderr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	started := make(chan error)
	c.work.Go(func() { c.live(cmd, started, stdout, stderr) })
	if err := <-started; err != nil {
		return errors.Join(err, stdout.Close(), stderr.Close())
	}
	c.work.Go(func() { _, _ = io.Copy(c.log.writer(), stderr) })
	return nil
}

// live starts the process and waits until it ends. The kernel kills it when the
// thread that started it ends, so that thread stays here.
func (c *child) live(cmd *exec.Cmd, started chan<- error, stdout, stderr *os.File) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.start(cmd, stdout, stderr)
	started <- err
	if err != nil {
		return
	}
	// What it started goes before its id can be another process's.
	for {
		if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	c.kill()
	err = cmd.Wait()
	c.mu.Lock()
	c.reaped, c.err, c.drain = true, err, time.AfterFunc(drainTimeout, c.closePipes)
	c.mu.Unlock()
	close(c.done)
}

func (c *child) start(cmd *exec.Cmd, stdout, stderr *os.File) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doomed {
		return errors.New("it was given up before it was started")
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := limit(cmd.Process.Pid, c.o.Memory); err != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // says that it was killed
		return fmt.Errorf("limiting its memory: %w", err)
	}
	c.id, c.stdout, c.stderr = cmd.Process.Pid, stdout, stderr
	return nil
}

// limit bounds the data of a process that has just started, and of what it will
// start. Nothing is asked of it before.
func limit(pid int, memory int64) error {
	if memory == 0 {
		return nil
	}
	return unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: uint64(memory), Max: uint64(memory)}, nil)
}

func (c *child) closePipes() {
	c.stdout.Close()
	c.stderr.Close()
}

// kill ends the process and what it started, or keeps it from being started.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doomed = true
	if c.id != 0 && !c.reaped {
		_ = syscall.Kill(-c.id, syscall.SIGKILL)
	}
}

// wait returns when the process has ended and nothing of it is left here. What
// reads its standard output has ended.
func (c *child) wait() {
	c.work.Wait()
	if c.drain != nil && c.drain.Stop() {
		c.closePipes()
	}
}

// over says whether the process has ended.
func (c *child) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *child) pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// Wait implements [runner.Runner].
func (c *child) Wait(context.Context) error {
	<-c.done
	return c.err
}

// Kill implements [runner.Runner].
func (c *child) Kill(context.Context) error {
	c.kill()
	return nil
}

// Stdout implements [runner.Runner].
func (c *child) Stdout() io.ReadCloser { return c.stdout }

// Stderr implements [runner.Runner]. go-plugin gets nothing to read: it believes
// that a line of JSON has strings where it looks for them, and panics.
func (c *child) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements [runner.Runner].
func (c *child) Name() string { return c.o.Name }

// ID implements [runner.Runner].
func (c *child) ID() string {
	if id := c.pid(); id != 0 {
		return strconv.Itoa(id)
	}
	return ""
}

// Diagnose implements [runner.Runner].
func (c *child) Diagnose(context.Context) string { return "" }

// PluginToHost implements [runner.Runner]: a plugin listens in its directory.
func (c *child) PluginToHost(network, address string) (string, string, error) {
	if network != "unix" || filepath.Dir(address) != c.sockets {
		return "", "", fmt.Errorf("it listens on %s %q, which is not in the directory it was given: %w", network, address, ErrProtocol)
	}
	return network, address, nil
}

// HostToPlugin implements [runner.Runner].
func (c *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
