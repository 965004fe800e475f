package servers

import (
	"fmt"
	"os"
	"os/exec"
)

// Chromium returns the path of Debian's Chromium, which is installed if it is not
// there.
func Chromium(t T) string {
	t.Helper()
	return debian(t, []string{"chromium", "chromium-browser"}, "chromium", "fonts-liberation")
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
