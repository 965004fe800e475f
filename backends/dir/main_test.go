package dir

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
)

// TestMain lets the test binary be a second process that works on a store:
// dir.test worker JOB DIRECTORY ARGUMENT.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "worker" {
		if err := work(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// content is the body that workers put under key: any size from 0 to 512 KiB.
func content(key string) []byte {
	seed := 0
	for _, c := range key {
		seed = seed*31 + int(c)
	}
	return bytes.Repeat([]byte(key+"\n"), seed%(512<<10)/(len(key)+1))
}

func work(job, path, arg string) error {
	s, err := Open(path, time.Now)
	if err != nil {
		return err
	}
	switch job {
	case "race":
		// Tell who we are under every key, once the parent says go.
		fmt.Println("ready")
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return err
		}
		for i := range raceKeys {
			_, err := s.Put(background, raceKey(i), []byte(arg))
			switch {
			case err == nil:
				fmt.Println("won", i)
			case backends.KindOf(err) != backends.Exists:
				return err
			}
		}
		return nil
	case "put":
		for i := 0; ; i++ {
			key := fmt.Sprintf("%s/%d/o-%d", arg, i%3, i)
			if _, err := s.Put(background, key, content(key)); err != nil {
				return err
			}
			fmt.Println(key)
		}
	case "die-before-link":
		s.link = func(string, string) error { return die() }
		_, err := s.Put(background, arg, content(arg))
		return fmt.Errorf("still alive: %w", err)
	case "die-after-link":
		link := s.link
		s.link = func(oldname, newname string) error {
			if err := link(oldname, newname); err != nil {
				return err
			}
			return die()
		}
		_, err := s.Put(background, arg, content(arg))
		return fmt.Errorf("still alive: %w", err)
	case "die-while-writing":
		s.fsync = func(f *os.File) error {
			if err := f.Truncate(1000); err != nil {
				return err
			}
			return die()
		}
		_, err := s.Put(background, arg, content(arg))
		return fmt.Errorf("still alive: %w", err)
	}
	return fmt.Errorf("unknown job %q", job)
}

// die kills this process as kill -9 does.
func die() error {
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return err
	}
	select {}
}

// worker starts a worker and returns its standard input and output.
func worker(t *testing.T, job, path, arg string) (*exec.Cmd, io.WriteCloser, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "worker", job, path, arg)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, in, bufio.NewScanner(out)
}

const raceKeys = 40

func raceKey(i int) string { return fmt.Sprintf("log/%d/slot-%02d", i%4, i) }

// Processes race for every key, and for making and syncing the directories.
func TestProcessesRace(t *testing.T) {
	path := t.TempDir()
	const processes = 4
	var outs []*bufio.Scanner
	var ins []io.WriteCloser
	var cmds []*exec.Cmd
	for p := range processes {
		cmd, in, out := worker(t, "race", path, strconv.Itoa(p))
		if !out.Scan() || out.Text() != "ready" {
			t.Fatalf("worker %d: %q, %v", p, out.Text(), out.Err())
		}
		cmds, ins, outs = append(cmds, cmd), append(ins, in), append(outs, out)
	}
	for _, in := range ins {
		io.WriteString(in, "go\n")
	}
	winners := make(map[string]string)
	for p, out := range outs {
		for out.Scan() {
			i, err := strconv.Atoi(strings.TrimPrefix(out.Text(), "won "))
			if err != nil {
				t.Fatalf("worker %d said %q", p, out.Text())
			}
			if other, ok := winners[raceKey(i)]; ok {
				t.Errorf("%s: processes %s and %d both won", raceKey(i), other, p)
			}
			winners[raceKey(i)] = strconv.Itoa(p)
		}
		if err := cmds[p].Wait(); err != nil {
			t.Errorf("worker %d: %v", p, err)
		}
	}
	s := open(t, path)
	for i := range raceKeys {
		if got := read(t, s, raceKey(i)); got != winners[raceKey(i)] {
			t.Errorf("%s is of process %q, and %q won", raceKey(i), got, winners[raceKey(i)])
		}
	}
}

// A process killed at any moment leaves whole objects only, all those among
// them that it was told are stored.
func TestKilledWhilePutting(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	acked := make(map[string]bool)
	for round := range 6 {
		cmd, _, out := worker(t, "put", path, fmt.Sprintf("r%d", round))
		for range 3 + round*2 {
			if !out.Scan() {
				t.Fatalf("worker ended: %v", out.Err())
			}
			acked[out.Text()] = true
		}
		// Where exactly it is by now is up to the scheduler.
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for out.Scan() {
			acked[out.Text()] = true
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("worker ended by itself")
		}
	}
	for _, key := range keys(t, s, "") {
		if got := read(t, s, key); got != string(content(key)) {
			t.Errorf("%s: %d bytes, want %d", key, len(got), len(content(key)))
		}
		delete(acked, key)
	}
	for key := range acked {
		t.Errorf("%s was acknowledged and is not there", key)
	}
}

func TestKilledAtALink(t *testing.T) {
	for job, stored := range map[string]bool{"die-while-writing": false, "die-before-link": false, "die-after-link": true} {
		path := t.TempDir()
		s := open(t, path)
		cmd, _, _ := worker(t, job, path, "a/k")
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Errorf("%s: worker was not killed: %v", job, err)
		}
		temps, err := s.temps()
		if err != nil || len(temps) != 1 {
			t.Errorf("%s: %d temporary files left, %v; want 1", job, len(temps), err)
		}
		if got := keys(t, s, ""); (len(got) == 1) != stored {
			t.Errorf("%s: keys %q", job, got)
		}
		if stored {
			if got := read(t, s, "a/k"); got != string(content("a/k")) {
				t.Errorf("%s: %d bytes", job, len(got))
			}
		} else if _, err := s.Put(t.Context(), "a/k", []byte("x")); err != nil {
			t.Errorf("%s: put by another writer: %v", job, err)
		}
		// The second name of what was linked goes with the first.
		if _, err := s.Erase(t.Context(), "a/k"); err != nil {
			t.Error(err)
		}
		temps, err = s.temps()
		if want := map[bool]int{true: 0, false: 1}[stored]; err != nil || len(temps) != want {
			t.Errorf("%s: %d temporary files after erase, %v; want %d", job, len(temps), err, want)
		}
	}
}
