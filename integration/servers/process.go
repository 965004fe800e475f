package servers

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// output keeps what a server prints, for the report of a failed test.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > 1<<20 {
		o.buf.Reset()
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(tail(o.buf.Bytes()))
}

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why, once done
}

// launch starts cmd in a process group of its own. On Linux it dies with this
// process too, for which the thread that started it has to stay
// (https://go.dev/issue/27505).
func launch(cmd *exec.Cmd) (*process, error) {
	setGroup(cmd)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
		close(p.done)
	}()
	return p, <-started
}

// stop kills the group and waits for the end.
func (p *process) stop() {
	killGroup(p.cmd)
	<-p.done
}

// start runs a server on a free port until the test ends, and returns when it
// answers at path. command makes the command for an address.
func start(t T, s *S3, path string, command func(addr string) *exec.Cmd) {
	t.Helper()
	var why string
	for range 5 { // another process may take the port first
		addr := freeAddr(t)
		cmd := command(addr)
		out := &output{}
		cmd.Stdout, cmd.Stderr = out, out
		p, err := launch(cmd)
		if err != nil {
			t.Fatalf("starting %s: %v", cmd.Path, err)
		}
		s.Endpoint = addr
		if why = await(s, path, p); why == "" {
			t.Cleanup(func() {
				p.stop()
				if text := out.String(); t.Failed() && text != "" {
					t.Logf("%s printed:\n%s", cmd.Path, text)
				}
			})
			return
		}
		p.stop()
		why += "\n" + out.String()
	}
	t.Fatalf("the server does not start: %s", why)
}

// await returns "" once the server answers, or why it does not.
func await(s *S3, path string, p *process) string {
	deadline := time.Now().Add(readyTime)
	for !s.answers(path) {
		select {
		case <-p.done:
			return fmt.Sprintf("it ended: %v", p.err)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Sprintf("it does not answer within %v", readyTime)
		}
	}
	return ""
}

func freeAddr(t T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// environ is this process's environment without what would redirect a server,
// and with more.
func environ(more ...string) []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "AIVAULT_") && !strings.HasPrefix(v, "VGW_") && !strings.HasPrefix(v, "MINIO_") {
			out = append(out, v)
		}
	}
	return append(out, more...)
}
