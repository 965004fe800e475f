package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/aivault/aivault/integration/servers"
)

const (
	ageVersion     = "v1.3.2"
	rcloneVersion  = "v1.76.0"
	gatewayVersion = "v1.8.0" // the one that package servers starts
)

// lab is everything that stands ready before anything is measured.
type lab struct {
	t      servers.T
	ctx    context.Context
	dir    string // in memory, if the machine has room there
	server *servers.S3

	self, aivault, rclonePath, age string // programs
	encodes                        bool   // aivault knows --encode
	recipient, identity            string // of age: the public key; the file with the secret one
	obscured                       string // rclone's password, as its configuration holds it
}

// newLab installs what the chosen tools need, and starts the server.
func newLab(t servers.T, uses func(tool string) bool) (*lab, error) {
	if _, err := exec.LookPath("restic"); uses("restic") && err != nil {
		return nil, fmt.Errorf("restic is one of the peers, and is not installed (Debian: apt-get install restic; without it, name the others with --tools): %w", err)
	}
	l := &lab{t: t, ctx: t.Context(), dir: t.TempDir()}
	var err error
	if l.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if uses("age") {
		l.age = servers.Program(t, "filippo.io/age/cmd/age", ageVersion)
		if err := l.makeIdentity(); err != nil {
			return nil, err
		}
	}
	if uses("crypt") || uses("age") || uses("copy") {
		l.rclonePath = servers.Program(t, "github.com/rclone/rclone", rcloneVersion)
		if l.obscured, err = l.output(l.rclonePath, "obscure", "bench"); err != nil {
			return nil, err
		}
		l.obscured = strings.TrimSpace(l.obscured)
	}
	l.server = servers.VersityGW(t, servers.Options{DataDir: l.path("objects")})
	l.aivault = l.path("aivault")
	if out, err := exec.CommandContext(l.ctx, "go", "build", "-trimpath", "-o", l.aivault, "github.com/aivault/aivault/cmd/aivault").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building aivault (this command runs inside of its module): %w\n%s", err, out)
	}
	help, err := l.output(l.aivault, "help", "push")
	if err != nil {
		return nil, err
	}
	l.encodes = strings.Contains(help, "--encode")
	return l, checkSettings(l.encodes)
}

// makeIdentity makes the keys that age uses: of the kind that aivault uses too.
func (l *lab) makeIdentity() error {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return err
	}
	l.recipient, l.identity = id.Recipient().String(), l.path("age-identity")
	return os.WriteFile(l.identity, []byte(id.String()+"\n"), 0o600)
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// env is the whole environment of a process, whose home is its own.
func (l *lab) env(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "LC_ALL=C.UTF-8"}
}

// output is what a short command prints.
func (l *lab) output(args ...string) (string, error) {
	cmd := exec.CommandContext(l.ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = l.dir, l.env(l.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, tail(out))
	}
	return string(out), nil
}

// quietly runs what is not measured.
func (l *lab) quietly(p []pipeline) error {
	_, err := measure(l.ctx, p)
	return err
}
