package servers

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// TPM is a TPM 2.0 of swtpm, behind a socket.
type TPM struct {
	Socket string
	dir    string
	tool   string
	swtpm  string
	proc   *process
}

// SWTPM starts a new TPM, until the test ends. swtpm and tpm2-tools are installed
// if they are not there.
func SWTPM(t T) *TPM {
	t.Helper()
	m := &TPM{
		swtpm: debian(t, []string{"swtpm"}, "swtpm", "tpm2-tools"),
		tool:  debian(t, []string{"tpm2_nvreadpublic"}, "tpm2-tools"),
	}
	var err error
	if m.dir, err = os.MkdirTemp("", "tpm"); err != nil { // a socket's path is short
		t.Fatal(err)
	}
	m.Socket = filepath.Join(m.dir, "tpm")
	t.Cleanup(func() {
		m.proc.stop()
		if err := os.RemoveAll(m.dir); err != nil {
			t.Logf("%v", err)
		}
	})
	m.Start(t)
	return m
}

// Start runs the TPM, after Stop with the state that it had.
func (m *TPM) Start(t T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.swtpm, "socket", "--tpm2", "--tpmstate", "dir="+m.dir, "--server", "type=unixio,path="+m.Socket,
		"--ctrl", "type=unixio,path="+m.Socket+".ctrl", "--flags", "not-need-init,startup-clear")
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	var err error
	if m.proc, err = launch(cmd); err != nil {
		t.Fatalf("starting swtpm: %v", err)
	}
	for deadline := time.Now().Add(readyTime); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", m.Socket)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("swtpm does not answer: %v\n%s", err, out)
		}
	}
}

// Stop ends the TPM, which keeps its state.
func (m *TPM) Stop() { m.proc.stop() }

// Indices returns the NV indices that tpm2_nvreadpublic finds, such as 0x1810000.
func (m *TPM) Indices(t T) []string {
	t.Helper()
	out, err := m.Tool(t, "nvreadpublic")
	if err != nil {
		t.Fatal(err)
	}
	var handles []string
	for line := range strings.Lines(out) {
		if h, ok := strings.CutSuffix(strings.TrimRight(line, "\n"), ":"); ok && strings.HasPrefix(h, "0x") {
			handles = append(handles, h)
		}
	}
	return handles
}

// Tool runs one of tpm2-tools, such as nvreadpublic.
func (m *TPM) Tool(t T, name string, args ...string) (string, error) {
	tool := filepath.Join(filepath.Dir(m.tool), "tpm2_"+name)
	out, err := exec.CommandContext(t.Context(), tool, append(args, "-T", "swtpm:path="+m.Socket)...).CombinedOutput()
	return string(out), err
}
