// Command aivault-plugin-sftp is a store on an SFTP server. Its CONFIG is
// sftp://USER@HOST[:PORT]/PATH; SFTP_KEY_FILE names a private key, SFTP_KNOWN_HOSTS
// a file with the server's public one, as OpenSSH has them.
package main

import (
	"cmp"
	"context"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/aivault/aivault/backends"
	store "github.com/aivault/aivault/plugins/aivault-plugin-sftp/sftp"
	"github.com/aivault/aivault/plugins/sdk"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func main() { sdk.ServeStore("1.0.0", open) }

func open(_ context.Context, c sdk.Config) (backends.Store, error) {
	u, err := url.Parse(c.Text)
	if err != nil || u.Scheme != "sftp" || u.User == nil || u.Path == "" {
		return nil, &backends.Error{Op: "open", Key: "sftp", Kind: backends.Invalid}
	}
	conn, err := dial(u)
	if err != nil {
		return nil, &backends.Error{Op: "open", Key: u.Host, Kind: backends.Denied, Err: err}
	}
	client, err := sftp.NewClient(conn, sftp.UseConcurrentWrites(true))
	if err == nil && c.Create {
		err = client.MkdirAll(u.Path + "/TMP")
	}
	if err != nil {
		return nil, &backends.Error{Op: "open", Key: u.Host, Kind: backends.Unavailable, Err: err}
	}
	go func() {
		conn.Wait()
		os.Exit(1) // aivault starts the plugin again
	}()
	return &store.Store{Client: client, Dir: u.Path, Now: time.Now}, nil
}

func dial(u *url.URL) (*ssh.Client, error) {
	text, err := os.ReadFile(os.Getenv("SFTP_KEY_FILE"))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	hosts, err := knownhosts.New(os.Getenv("SFTP_KNOWN_HOSTS"))
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "22")), &ssh.ClientConfig{
		User: u.User.Username(), Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: hosts, Timeout: 20 * time.Second,
	})
}
