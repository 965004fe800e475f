package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// cache is the directory that programs are kept in.
func cache(t T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("no cache directory for programs: %v", err)
	}
	dir := filepath.Join(base, "aivault-test", "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// install returns dir/name, which make has made at some time or makes now. It is
// made in a directory beside it, so that a killed process leaves nothing half done.
func install(t T, name string, make func(dir string) error) string {
	t.Helper()
	final := filepath.Join(cache(t), name)
	if _, err := os.Stat(final); err == nil {
		return final
	}
	unlock, err := lock(final + ".lock")
	if err != nil {
		t.Fatalf("waiting for another process to install %s: %v", name, err)
	}
	defer unlock()
	if _, err := os.Stat(final); err == nil {
		return final
	}
	tmp, err := os.MkdirTemp(filepath.Dir(final), name+".tmp-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	t.Logf("installing %s; this takes a while the first time", name)
	if err := make(tmp); err != nil {
		t.Fatalf("the program %s cannot be had: %v", name, err)
	}
	if err := os.Rename(tmp, final); err != nil {
		t.Fatal(err)
	}
	return final
}

// Program returns the path of a Go program, which is built outside this module,
// with the dependencies that it asks for itself. program is its import path.
func Program(t T, program, version string) string {
	t.Helper()
	base := filepath.Base(program)
	dir := install(t, base+"-"+version, func(dir string) error {
		cmd := exec.CommandContext(t.Context(), "go", "install", "-trimpath", program+"@"+version)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
		return run(cmd)
	})
	return filepath.Join(dir, base)
}

// npmInstall installs an npm package, below node_modules of the directory returned.
func npmInstall(t T, name, version string) string {
	t.Helper()
	return install(t, name+"-"+version, func(dir string) error {
		cmd := exec.CommandContext(t.Context(), "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", name+"@"+version)
		cmd.Dir = dir
		return run(cmd)
	})
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, tail(out))
	}
	return nil
}

// tail is the end of a program's output.
func tail(out []byte) []byte {
	const most = 4 << 10
	return out[max(0, len(out)-most):]
}
