package host_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/plugins/sdk"
	"github.com/aivault/aivault/vault/scan"
	"github.com/aivault/aivault/vault/scan/scantest"
)

// roles are the programs that this test binary can be.
func roles() map[string]func() {
	return map[string]func(){
		"mem": serveMem, "local": serveLocal,
		"teller":   func() { serve(&teller{}) },
		"crasher":  func() { serve(crasher{mem.New(mem.Options{})}) },
		"flooder":  func() { flood(); serve(&teller{}) },
		"stubborn": stubborn,
		"glutton":  func() { serveScanner(glutton) },
		"sleeper":  func() { serveScanner(func(string, []byte) []scan.Finding { select {} }) },
		"hanging":  func() { select {} },
		"mumbling": func() { fmt.Fprintln(os.Stderr, "reason: unknown"); fmt.Println("hello"); os.Exit(3) },
		"elsewhere": func() {
			fmt.Println("1|1|unix|/tmp/elsewhere.sock|grpc|" + strings.Repeat("A", 60))
			select {}
		},
		"remote":   func() { fmt.Println("1|1|tcp|127.0.0.1:1|grpc|" + strings.Repeat("A", 60)); select {} },
		"old":      func() { fmt.Println("1|1|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/s|netrpc|"); select {} },
		"the-host": theHost,
	}
}

func serve(s backends.Store) {
	sdk.ServeStore("1.0.0", func(context.Context, sdk.Config) (backends.Store, error) { return s, nil })
}

func serveScanner(judge func(string, []byte) []scan.Finding) {
	sdk.ServeScanner("1.0.0", func(context.Context, sdk.Config) (scan.Scanner, error) { return scantest.Double{Judge: judge}, nil })
}

// glutton takes all the memory that there is.
func glutton(string, []byte) []scan.Finding {
	var all [][]byte
	for {
		all = append(all, bytes.Repeat([]byte{1}, 64<<20))
	}
}

// teller is a store of which every object tells something about its process.
type teller struct {
	backends.Store
	gaveUp context.Context // of a Put that was given up
}

func (s *teller) Get(ctx context.Context, ref backends.Ref, _, _ int64) (io.ReadCloser, backends.Info, error) {
	var body []byte
	switch ref.Key {
	case "pid":
		body = fmt.Append(nil, os.Getpid())
	case "env":
		body = []byte(strings.Join(os.Environ(), "\n"))
	case "stdin":
		body, _ = io.ReadAll(os.Stdin)
	}
	return io.NopCloser(bytes.NewReader(body)), backends.Info{Ref: ref, Size: int64(len(body))}, nil
}

// Put waits until nobody waits for it any more, and then writes its body to the
// path that it is.
func (s *teller) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	pipe, err := os.OpenFile(string(body), os.O_WRONLY, 0)
	if err != nil {
		return backends.Info{}, err
	}
	defer pipe.Close()
	fmt.Fprintln(pipe, "waiting")
	<-ctx.Done()
	fmt.Fprintln(pipe, ctx.Err())
	return backends.Info{}, ctx.Err()
}

// crasher dies in the middle of everything.
type crasher struct{ backends.Store }

func (s crasher) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if key == "crash" {
		panic("out of order")
	}
	return s.Store.Put(ctx, key, body)
}

func (s crasher) Get(ctx context.Context, ref backends.Ref, _, _ int64) (io.ReadCloser, backends.Info, error) {
	return io.NopCloser(&dying{}), backends.Info{Ref: ref, Size: 4 << 20}, nil
}

// dying gives some bytes and then kills its process.
type dying struct{ gave bool }

func (d *dying) Read(p []byte) (int, error) {
	if d.gave {
		os.Exit(7)
	}
	d.gave = true
	return len(p), nil
}

// flood says too much, and what go-plugin would not survive.
func flood() {
	stderr := os.Stderr
	fmt.Fprintln(stderr, `{"@message":5,"@level":[]}`)
	fmt.Fprintln(stderr, `{"time":"2026-11-01T00:00:00Z","level":"WARN","msg":"the HSM is \u001b[2Jwarm","degrees":41}`)
	fmt.Fprintln(stderr, strings.Repeat("x", 1<<20))
	line := strings.Repeat("y", 1000) + "\n"
	for range 5000 {
		fmt.Fprint(stderr, line)
	}
}

// stubborn does not end when it is asked to, and has started something that
// holds on to its pipes.
func stubborn() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	cmd := exec.Command("/bin/sleep", "1000")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		os.Exit(1)
	}
	serve(&teller{})
	select {}
}

// theHost runs a plugin, says which process it is, and waits to be killed.
func theHost() {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	digest, err := host.DigestOf(path)
	if err != nil {
		panic(err)
	}
	s, err := host.OpenStore(context.Background(), host.Options{
		Name: "teller", Path: path, Digests: []canonical.Digest{digest}, Env: []string{role + "=teller"}, Now: time.Now,
	})
	if err != nil {
		panic(err)
	}
	r, _, err := s.Get(context.Background(), backends.Ref{Key: "pid"}, 0, -1)
	if err != nil {
		panic(err)
	}
	if _, err := io.Copy(os.Stdout, r); err != nil {
		panic(err)
	}
	fmt.Println()
	select {}
}
