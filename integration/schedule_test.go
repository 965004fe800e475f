package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aivault/aivault/integration/servers"
)

// TestScheduleUnits has systemd verify the units of docs/schedule, with the program
// in the place that they name.
func TestScheduleUnits(t *testing.T) {
	analyze := servers.SystemdAnalyze(t)
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	verify := func(change func(string) string) (string, error) {
		t.Helper()
		dir := t.TempDir()
		files := []string{}
		for _, name := range []string{"aivault-disposals.service", "aivault-disposals.timer"} {
			b, err := os.ReadFile(filepath.Join("..", "docs", "schedule", name))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(change(string(b)), "/usr/local/bin/aivault", program)
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		out, err := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--man=no", "--recursive-errors=no"}, files...)...).CombinedOutput()
		return string(out), err
	}
	if said, err := verify(func(s string) string { return s }); err != nil || strings.TrimSpace(said) != "" {
		t.Errorf("%v: %s", err, said)
	}
	for _, c := range [][2]string{{"OnCalendar=*-*-*", "OnCalendar=*-*-99"}, {"Type=oneshot", "Type=often"}, {"ExecStart=/usr", "ExecStart=/nowhere/usr"}, {"NoNewPrivileges=", "NoPrivileges="}} {
		said, err := verify(func(s string) string { return strings.ReplaceAll(s, c[0], c[1]) })
		if err == nil && strings.TrimSpace(said) == "" {
			t.Errorf("with %s it finds nothing wrong", c[1])
		}
	}
}
