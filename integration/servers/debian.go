package servers

import (
	"os"
	"os/exec"
	"path/filepath"
)

// SystemdAnalyze returns the path of systemd-analyze, which needs no systemd that
// runs. It is installed if it is not there.
func SystemdAnalyze(t T) string {
	t.Helper()
	return debian(t, []string{"systemd-analyze"}, "systemd")
}

// Zstd returns the path of the zstd program. It is installed if it is not there.
func Zstd(t T) string {
	t.Helper()
	return debian(t, []string{"zstd"}, "zstd")
}

// debian returns the path of a program, under the first of its names that is found.
// If none is, Debian's packages are installed.
func debian(t T, names []string, packages ...string) string {
	t.Helper()
	find := func() string {
		for _, name := range names {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
		return ""
	}
	if path := find(); path != "" {
		return path
	}
	unlock, err := lock(filepath.Join(cache(t), "apt.lock"))
	if err != nil {
		t.Fatalf("waiting for another process to install %s: %v", names[0], err)
	}
	defer unlock()
	if path := find(); path != "" {
		return path
	}
	t.Logf("installing %s; this takes a while the first time", names[0])
	for _, args := range [][]string{{"update"}, append([]string{"install", "--yes", "--no-install-recommends"}, packages...)} {
		if err := run(apt(t, args)); err != nil {
			t.Fatalf("the program %s cannot be had: %v", names[0], err)
		}
	}
	path := find()
	if path == "" {
		t.Fatalf("the program %s is installed, and is not in %s", names[0], os.Getenv("PATH"))
	}
	return path
}

// apt is apt-get, with the rights it needs.
func apt(t T, args []string) *exec.Cmd {
	name, args := "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)
	if os.Geteuid() != 0 {
		name, args = "sudo", append([]string{"-n", "apt-get"}, args...)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return cmd
}
