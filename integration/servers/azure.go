package servers

import (
	"net"
	"os/exec"
	"path/filepath"
)

// Azure is a running Azurite, Microsoft's emulator of Azure Storage, with the
// account and key that every Azurite has. It knows snapshots; no versions, no
// soft delete and no immutability.
type Azure struct {
	Endpoint string // of the account
	Account  string
	Key      string // in base64
}

// Azurite starts one on loopback, in memory, from the npm registry.
func Azurite(t T) *Azure {
	t.Helper()
	program := filepath.Join(npmInstall(t, "azurite", "3.37.0"), "node_modules", ".bin", "azurite-blob")
	s := &S3{Insecure: true}
	start(t, s, "/", func(addr string) *exec.Cmd {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "--blobHost", host, "--blobPort", port, "--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry")
		cmd.Dir, cmd.Env = t.TempDir(), environ()
		return cmd
	})
	a := &Azure{
		Account: "devstoreaccount1", // published by Microsoft, as is the key
		Key:     "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
	}
	a.Endpoint = "http://" + s.Endpoint + "/" + a.Account
	return a
}
