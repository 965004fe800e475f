package host_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/vault/scan"
	"golang.org/x/sys/unix"
)

func read(t *testing.T, s backends.Store, key string) string {
	t.Helper()
	r, _, err := s.Get(t.Context(), backends.Ref{Key: key}, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func pidOf(t *testing.T, s backends.Store) int {
	t.Helper()
	pid, err := strconv.Atoi(read(t, s, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// ended waits until a process has ended, as the kernel tells it.
func ended(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("process %d lives on: %v", pid, err)
		}
		return
	}
}

// sockets gives this test a directory for temporary files, short enough for
// sockets, and returns what is in it.
func sockets(t *testing.T) func() []string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	return func() (names []string) {
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if path != dir {
				names = append(names, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return names
	}
}

func TestOnlyThePinnedBinaryRuns(t *testing.T) {
	o := options(t, "teller")
	path := filepath.Join(t.TempDir(), "plugin")
	b, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Path, o.Digests = path, append([]canonical.Digest{canonical.Sum([]byte("the one before"))}, o.Digests...)
	s := openStore(t, o)
	if s.Digest() != o.Digests[1] {
		t.Errorf("digest %s", s.Digest())
	}
	// Changed after start: what died is started again from the bytes that were
	// checked, and a new start is refused.
	if err := os.WriteFile(path, append(b, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	pid := pidOf(t, s)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended(t, pid)
	if again := pidOf(t, s); again == pid {
		t.Errorf("process %d still answers", pid)
	}
	if _, err := host.OpenStore(t.Context(), o); !errors.Is(err, host.ErrDigest) {
		t.Errorf("a changed binary: %v, want ErrDigest", err)
	}
	o.Digests = nil
	if _, err := host.OpenStore(t.Context(), o); !errors.Is(err, host.ErrDigest) {
		t.Errorf("no digest: %v, want ErrDigest", err)
	}
	for what, path := range map[string]string{"a directory": t.TempDir(), "a device": os.DevNull, "nothing": filepath.Join(t.TempDir(), "x")} {
		o.Path = path
		if _, err := host.OpenStore(t.Context(), o); err == nil {
			t.Errorf("%s was run", what)
		}
	}
}

func TestWhatAPluginSees(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a secret of the host")
	o := options(t, "teller")
	o.Env = append(o.Env, "HSM_SLOT=3")
	s := openStore(t, o)
	var names []string
	for line := range strings.Lines(read(t, s, "env")) {
		if name, _, ok := strings.Cut(line, "="); ok && strings.ToUpper(name) == name && !strings.ContainsAny(name, "+/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	want := []string{"AIVAULT_PLUGIN", "HSM_SLOT", "PLUGIN_CLIENT_CERT", "PLUGIN_MAX_PORT", "PLUGIN_MIN_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR", role}
	if !slices.Equal(names, want) {
		t.Errorf("environment %q, want %q", names, want)
	}
	if got := read(t, s, "stdin"); got != "" {
		t.Errorf("standard input gave %q", got)
	}
	for _, bad := range []string{"NOVALUE", "LD_PRELOAD=x", "PLUGIN_CLIENT_CERT=x", "GODEBUG=x", "A B=x", "=x", "1A=x", "AIVAULT_PLUGIN=x"} {
		o.Env = []string{bad}
		if s, err := host.OpenStore(t.Context(), o); err == nil {
			t.Errorf("the variable %q was passed", bad)
			s.Close()
		}
	}
}

func TestBadStarts(t *testing.T) {
	left := sockets(t)
	for as, want := range map[string]error{"mumbling": host.ErrStart, "elsewhere": host.ErrProtocol, "remote": host.ErrProtocol, "old": host.ErrStart, "local": host.ErrContract} {
		_, err := host.OpenStore(t.Context(), options(t, as))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", as, err, want)
		}
		if as == "mumbling" && !strings.Contains(err.Error(), "reason: unknown") {
			t.Errorf("%v does not say what the plugin said", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := host.OpenStore(ctx, options(t, "hanging")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a plugin that hangs: %v", err)
	}
	if names := left(); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}

func TestCrashes(t *testing.T) {
	s := openStore(t, options(t, "crasher"))
	r, _, err := s.Get(t.Context(), backends.Ref{Key: "a"}, 0, -1)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
		r.Close()
	}
	if backends.KindOf(err) != backends.Unavailable {
		t.Errorf("a plugin that dies in a get: %v, want Unavailable", err)
	}
	// A call may find the process dead before this one has noticed: it was not
	// applied then, and is no start.
	deaths := 0
	for range 20 {
		_, err = s.Put(t.Context(), "crash", []byte("body"))
		if errors.Is(err, host.ErrStart) {
			break
		}
		switch backends.KindOf(err) {
		case backends.Indeterminate:
			deaths++
		case backends.Unavailable:
		default:
			t.Fatalf("a plugin that dies in a put: %v", err)
		}
	}
	if deaths != 3 {
		t.Errorf("the plugin died in %d puts, want 3", deaths)
	}
	if !errors.Is(err, host.ErrStart) || backends.KindOf(err) != backends.Unavailable || !strings.Contains(err.Error(), "panic: out of order") {
		t.Errorf("a plugin that died too often: %v", err)
	}
}

// lines is a log that a test can read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestLogs(t *testing.T) {
	var log lines
	o := options(t, "flooder")
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := openStore(t, o)
	pidOf(t, s)
	s.Close()
	got := log.b.String()
	if n := len(got); n > 4<<20 {
		t.Errorf("%d bytes were logged", n)
	}
	for _, want := range []string{`level=WARN msg="the HSM is  [2Jwarm" plugin=flooder degrees=41`, `level=DEBUG msg="{\"@message\":5`, "says too much"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

func TestStubbornPluginsEnd(t *testing.T) {
	left := sockets(t)
	s := openStore(t, options(t, "stubborn"))
	pid := pidOf(t, s)
	children, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(pid) + "/children")
	if err != nil || len(strings.Fields(string(children))) > 1 {
		t.Fatalf("children %q, %v", children, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ended(t, pid)
	for _, c := range strings.Fields(string(children)) {
		child, _ := strconv.Atoi(c)
		ended(t, child)
	}
	if _, err := s.Put(t.Context(), "a", nil); backends.KindOf(err) != backends.Unavailable {
		t.Errorf("put after close: %v", err)
	}
	if names := left(); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}

func TestGivingUpReachesThePlugin(t *testing.T) {
	s := openStore(t, options(t, "teller"))
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	put := make(chan error, 1)
	go func() {
		_, err := s.Put(ctx, "k", []byte(path))
		put <- err
	}()
	pipe, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	in := bufio.NewScanner(pipe)
	in.Scan()
	cancel()
	if err := <-put; !errors.Is(err, context.Canceled) || !errors.Is(err, backends.Indeterminate) {
		t.Errorf("a put given up: %v", err)
	}
	if !in.Scan() || in.Text() != context.Canceled.Error() {
		t.Errorf("the plugin learned %q", in.Text())
	}
}

func TestNothingOutlivesAKilledHost(t *testing.T) {
	left := sockets(t)
	o := options(t, "the-host")
	cmd := exec.CommandContext(t.Context(), o.Path)
	cmd.Env = append(os.Environ(), o.Env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, perr := strconv.Atoi(strings.TrimSpace(line))
	if err = errors.Join(err, perr); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the control: the plugin does not run: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	ended(t, pid)
	if names := left(); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}

// A scanner that takes too much memory, or too long, is ended, and the next scan
// begins with a new process.
func TestScannersAreLimited(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open := func(as string) *host.Scanner {
		o := options(t, as)
		o.Memory = 1 << 30
		s, err := host.OpenScanner(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	glutton := open("glutton")
	for range 2 {
		if r, err := glutton.Scan(t.Context(), dir); !errors.Is(err, scan.ErrFailed) {
			t.Errorf("one that takes all memory: %+v, %v", r, err)
		}
	}
	sleeper := open("sleeper")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if r, err := sleeper.Scan(ctx, dir); !errors.Is(err, scan.ErrFailed) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that does not end: %+v, %v", r, err)
	}
	if _, err := host.OpenScanner(t.Context(), options(t, "mem")); !errors.Is(err, host.ErrContract) {
		t.Errorf("a store as a scanner: %v", err)
	}
}
