package plugins_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/integration/servers"
	store "github.com/aivault/aivault/plugins/aivault-plugin-sftp/sftp"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func sftpFixture(t *testing.T) fixture {
	s := servers.OpenSSH(t)
	client := connectSFTP(t, s)
	return fixture{
		config: "sftp://vault@" + s.Addr + s.Dir, env: environ("SFTP_KEY_FILE", s.KeyFile, "SFTP_KNOWN_HOSTS", s.KnownHosts),
		store: func(context.Context, string, bool) (backends.Store, error) {
			return &store.Store{Client: client, Dir: s.Dir, Now: time.Now}, client.MkdirAll(s.Dir + "/TMP")
		},
	}
}

func connectSFTP(t *testing.T, s *servers.SFTP) *sftp.Client {
	t.Helper()
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := knownhosts.New(s.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ssh.Dial("tcp", s.Addr, &ssh.ClientConfig{User: "vault", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: hosts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client, err := sftp.NewClient(conn, sftp.UseConcurrentWrites(true))
	if err != nil {
		t.Fatal(err)
	}
	return client
}
