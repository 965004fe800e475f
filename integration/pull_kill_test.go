package integration_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var pullKills = flag.Int("pull-kills", 5, "how often to kill a pull that exchanges trees, each way")

// TestKillDuringExchange kills a pull of one version over another at random
// moments; of a version alone, and of a system. Whenever that is, the destination
// is one or the other, whole; the next pull completes, and leaves nothing but the
// destination.
func TestKillDuringExchange(t *testing.T) {
	for _, link := range []bool{false, true} {
		t.Run(fmt.Sprintf("link %v", link), func(t *testing.T) { killDuringExchange(t, link, pushTree) })
	}
	t.Run("system", func(t *testing.T) { killDuringExchange(t, false, pushSystem) })
}

// pushTree pushes a version of fraud.
func pushTree(t *testing.T, h *home, _ int, tree string) { h.run(t, 0, "push", "fraud", tree) }

// pushSystem pushes a version of fraud that pins a part for each directory of a
// tree, and gives the tree the file that such a version has.
func pushSystem(t *testing.T, h *home, version int, tree string) {
	args := []string{"push", "fraud"}
	dirs, err := os.ReadDir(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		h.run(t, 0, "push", "part/"+d.Name(), filepath.Join(tree, d.Name()))
		args = append(args, "--part", d.Name()+"=part/"+d.Name())
	}
	h.run(t, 0, args...)
	once := filepath.Join(t.TempDir(), "once")
	h.run(t, 0, "pull", fmt.Sprintf("fraud@v%d", version+1), once, "--include", "system.json")
	if err := os.Rename(filepath.Join(once, "system.json"), filepath.Join(tree, "system.json")); err != nil {
		t.Fatal(err)
	}
}

func killDuringExchange(t *testing.T, link bool, push func(*testing.T, *home, int, string)) {
	h := newHome(t)
	location := filepath.Join(h.dir, "vault")
	h.env = append(h.env, "AIVAULT_VAULT="+location)
	h.run(t, 0, "init", location)
	var trees [2]string
	for v := range trees {
		trees[v] = filepath.Join(h.dir, fmt.Sprintf("v%d", v+1))
		for i := range 60 {
			name, text := filepath.Join(trees[v], fmt.Sprintf("d%d/f%d", i%5, i)), fmt.Sprintf("%d", i)
			switch i % 4 {
			case 1:
				text += fmt.Sprintf(" of v%d", v)
			case 2:
				name += fmt.Sprintf("-v%d", v)
			}
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(strings.Repeat(text+"\n", 1000)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		push(t, h, v, trees[v])
	}
	parent := filepath.Join(h.dir, "serving")
	dest := filepath.Join(parent, "current")
	args := []string{"pull", "", dest}
	if link {
		args = append(args, "--link")
	}
	// try starts a pull of a version and kills it after a while, if it still runs.
	try := func(version int, after time.Duration) (took time.Duration, killed bool) {
		args[1] = fmt.Sprintf("fraud@v%d", version+1)
		cmd := exec.CommandContext(t.Context(), h.program, args...)
		cmd.Env, cmd.Dir = h.env, h.dir
		var out strings.Builder
		cmd.Stderr = &out
		start := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		var exit *exec.ExitError
		if killed = errors.As(err, &exit) && exit.ExitCode() == -1; err != nil && !killed {
			t.Fatalf("%v: %s", err, &out)
		}
		return time.Since(start), killed
	}
	try(0, time.Minute)
	took, _ := try(1, time.Minute)
	sameTree(t, trees[1], dest+"/.")
	standing, kills, switched := 1, 0, 0
	for i := range *pullKills {
		wanted := 1 - standing
		if _, killed := try(wanted, time.Duration(rand.Int64N(int64(took)))); killed {
			kills++
		}
		if _, err := os.Stat(filepath.Join(dest, fmt.Sprintf("d2/f2-v%d", wanted))); err == nil {
			standing = wanted
			switched++
		}
		sameTree(t, trees[standing], dest+"/.")
		if t.Failed() {
			t.Fatalf("kill %d: v%d is not whole", i, standing+1)
		}
		try(wanted, time.Minute)
		standing = wanted
		sameTree(t, trees[standing], dest+"/.")
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		left := 2 // the destination and its record
		if link {
			left++ // and the tree
		}
		if len(entries) != left {
			t.Fatalf("after kill %d and another pull: %v", i, entries)
		}
	}
	t.Logf("%d pulls, %d killed, %d had exchanged before", *pullKills, kills, switched)
}
