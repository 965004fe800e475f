package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// HSM is a token of SoftHSM, in files of its own.
type HSM struct {
	Module string // path of the PKCS#11 library
	Config string // path of its configuration, for the variable SOFTHSM2_CONF
	Label  string
	PIN    string
	tool   string
}

// SoftHSM makes a new token. SoftHSM and OpenSC's pkcs11-tool are installed if
// they are not there.
func SoftHSM(t T, label string) *HSM {
	t.Helper()
	util := debian(t, []string{"softhsm2-util"}, "softhsm2", "opensc")
	h := &HSM{Label: label, PIN: "1234-not-secret", tool: debian(t, []string{"pkcs11-tool"}, "opensc")}
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib/pkcs11/libsofthsm2.so"} {
		if _, err := os.Stat(path); err == nil {
			h.Module = path
			break
		}
	}
	if h.Module == "" {
		t.Fatal("softhsm2-util is there, and its library is not where Debian puts it")
	}
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	h.Config = filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(h.Config, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), util, "--init-token", "--free", "--label", label, "--so-pin", "5678-not-secret", "--pin", h.PIN)
	cmd.Env = environ(h.Environ()...)
	if err := run(cmd); err != nil {
		t.Fatal(err)
	}
	return h
}

// Environ is what SoftHSM's library needs of the environment, and the PIN.
func (h *HSM) Environ() []string {
	return []string{"SOFTHSM2_CONF=" + h.Config, "HSM_PIN=" + h.PIN}
}

// URI names the token and where its PIN is, in the variable HSM_PIN.
func (h *HSM) URI() string {
	return "token=" + h.Label + "?module-path=" + h.Module + "&pin-source=env:HSM_PIN"
}

// Keys returns the labels of the secret keys that pkcs11-tool finds.
func (h *HSM) Keys(t T) []string { return h.labels(t, "secrkey") }

// Data returns the labels of the data objects that pkcs11-tool finds.
func (h *HSM) Data(t T) []string { return h.labels(t, "data") }

func (h *HSM) labels(t T, class string) []string {
	t.Helper()
	out, err := h.Tool(t, "--list-objects", "--type", class)
	if err != nil {
		t.Fatal(err)
	}
	var labels []string
	for line := range strings.Lines(out) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "label" {
			labels = append(labels, strings.Trim(strings.TrimSpace(value), "'"))
		}
	}
	return labels
}

// Tool runs pkcs11-tool, logged in to the token.
func (h *HSM) Tool(t T, args ...string) (string, error) {
	cmd := exec.CommandContext(t.Context(), h.tool, append([]string{"--module", h.Module, "--token-label", h.Label, "--login", "--pin", h.PIN}, args...)...)
	cmd.Env = environ(h.Environ()...)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("pkcs11-tool %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
