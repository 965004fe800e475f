package servers

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
)

// VersityGW starts versitygw (Apache-2.0), the server that tests run against by
// default. It keeps no two objects of which one's key is a path prefix of the
// other's, knows no lifecycle rules, and refuses a put over a delete marker.
func VersityGW(t T, o Options) *S3 {
	t.Helper()
	program := Program(t, "github.com/versity/versitygw/cmd/versitygw", "v1.8.0")
	s := prepare(t, o)
	global := []string{"--quiet", "--keep-alive"}
	if o.TLS {
		c := makeCertificates(t)
		s.CAFile, s.RootCAs = c.ca, c.pool
		global = append(global, "--cert", c.cert, "--key", c.key)
	}
	backend := []string{"posix"}
	if o.Versioning {
		backend = append(backend, "--versioning-dir", t.TempDir())
	}
	start(t, s, "/", func(addr string) *exec.Cmd {
		args := append(append(append([]string{"--port", addr}, global...), backend...), s.DataDir)
		cmd := exec.Command(program, args...)
		cmd.Env = environ("ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
		return cmd
	})
	return s
}

// MinIO starts MinIO (AGPL-3.0, no longer maintained, hence always a process of
// its own), the most complete server there is. Building it takes four to nine
// minutes: no test that runs by default uses it.
func MinIO(t T, o Options) *S3 {
	t.Helper()
	program := Program(t, "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c")
	s := prepare(t, o)
	args := []string{"server", "--quiet"}
	if o.TLS {
		c := makeCertificates(t)
		s.CAFile, s.RootCAs = c.ca, c.pool
		args = append(args, "--certs-dir", filepath.Dir(c.cert))
	}
	start(t, s, "/minio/health/live", func(addr string) *exec.Cmd {
		cmd := exec.Command(program, append(args, "--address", addr, s.DataDir)...)
		cmd.Env = environ("MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey, "MINIO_UPDATE=off", "MINIO_BROWSER=off")
		return cmd
	})
	return s
}

func prepare(t T, o Options) *S3 {
	t.Helper()
	s := &S3{Insecure: !o.TLS, AccessKey: cmp.Or(o.AccessKey, accessKey), SecretKey: cmp.Or(o.SecretKey, secretKey), DataDir: o.DataDir}
	if s.DataDir == "" {
		s.DataDir = t.TempDir()
	}
	if err := os.MkdirAll(s.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}
