package servers

import (
	"os/exec"
	"path/filepath"
	"strings"
)

// S3rver starts s3rver, which ignores conditions, stores the framing of signed
// chunks as content, and accepts any secret. It needs node and npm.
func S3rver(t T) *S3 {
	t.Helper()
	dir := npmInstall(t, "s3rver", "3.7.1")
	s := prepare(t, Options{})
	s.AccessKey, s.SecretKey = "S3RVER", "S3RVER"
	start(t, s, "/", func(addr string) *exec.Cmd {
		host, port, _ := strings.Cut(addr, ":")
		cmd := exec.Command("node", filepath.Join(dir, "node_modules", "s3rver", "bin", "s3rver.js"), "-d", s.DataDir, "-a", host, "-p", port, "-s")
		cmd.Env = environ()
		return cmd
	})
	return s
}

// GoFakeS3 starts gofakes3, which accepts any secret, and object locks that it
// does not enforce.
func GoFakeS3(t T) *S3 {
	t.Helper()
	program := Program(t, "github.com/johannesboyne/gofakes3/cmd/gofakes3", "v1.2.0")
	s := prepare(t, Options{})
	start(t, s, "/", func(addr string) *exec.Cmd {
		cmd := exec.Command(program, "-host", addr, "-backend", "memory")
		cmd.Env = environ()
		return cmd
	})
	return s
}
