package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Chromium returns the path of Debian's Chromium, which is installed if it is not
// there.
func Chromium(t T) string {
	t.Helper()
	find := func() string {
		for _, name := range []string{"chromium", "chromium-browser"} {
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
		t.Fatalf("waiting for another process to install chromium: %v", err)
	}
	defer unlock()
	if path := find(); path != "" {
		return path
	}
	t.Logf("installing chromium; this takes a while the first time")
	for _, args := range [][]string{{"update"}, {"install", "--yes", "--no-install-recommends", "chromium", "fonts-liberation"}} {
		if err := run(apt(t, args)); err != nil {
			t.Fatalf("chromium cannot be had: %v", err)
		}
	}
	path := find()
	if path == "" {
		t.Fatalf("chromium cannot be had: it is installed, and is not in %s", os.Getenv("PATH"))
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

// Render opens an HTML file in a headless Chromium with a profile of its own. It
// returns the document as text, after scripts, and writes a picture of the page,
// of so many pixels, and the printed page as PDF.
func Render(t T, page, picture, pdf string, width, height int) (dom []byte) {
	t.Helper()
	chromium := Chromium(t)
	browse := func(args ...string) []byte {
		t.Helper()
		profile, err := os.MkdirTemp("", "aivault-chromium-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(profile)
		cmd := exec.CommandContext(t.Context(), chromium, append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + profile},
			append(args, "file://"+page)...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		return out
	}
	browse("--screenshot="+picture, fmt.Sprintf("--window-size=%d,%d", width, height))
	browse("--print-to-pdf="+pdf, "--no-pdf-header-footer")
	return browse("--dump-dom")
}
