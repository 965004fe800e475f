package servers

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SFTP is a running SFTP server: OpenSSH's sftp-server, behind an SSH server that
// lets one key in and starts nothing else.
type SFTP struct {
	Addr       string // host:port
	KeyFile    string // the private key that is let in
	KnownHosts string // a file with the server's key, as OpenSSH has it
	Dir        string // empty, for the client's use
}

// OpenSSH starts one on loopback, with sftp-server from Debian.
func OpenSSH(t T) *SFTP {
	t.Helper()
	program := "/usr/lib/openssh/sftp-server"
	if _, err := os.Stat(program); err != nil {
		program = debian(t, []string{program}, "openssh-sftp-server")
	}
	dir := t.TempDir()
	s := &SFTP{KeyFile: filepath.Join(dir, "key"), KnownHosts: filepath.Join(dir, "known_hosts"), Dir: filepath.Join(dir, "files")}
	client, host := newKey(t, s.KeyFile), newKey(t, filepath.Join(dir, "host"))
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(client.PublicKey().Marshal()) {
			return nil, fmt.Errorf("unknown key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = l.Addr().String()
	line := knownhosts.Line([]string{s.Addr}, host.PublicKey()) + "\n"
	if err := os.WriteFile(s.KnownHosts, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var conns sync.Map
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, nil)
			wg.Go(func() { serveSSH(conn, config, program) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return s
}

// newKey makes a key pair and writes the private one to a file.
func newKey(t T, file string) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// serveSSH serves one connection: sessions that ask for SFTP.
func serveSSH(conn net.Conn, config *ssh.ServerConfig, program string) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return // a client that is not let in
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.UnknownChannelType, "sessions only") // if it is gone, all the better
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer channel.Close()
			for r := range requests {
				ok := r.Type == "subsystem" && string(r.Payload[4:]) == "sftp"
				if err := r.Reply(ok, nil); err != nil || !ok {
					continue
				}
				cmd := exec.Command(program, "-e")
				cmd.Stdin, cmd.Stdout, cmd.Stderr = channel, channel, channel.Stderr()
				setGroup(cmd)
				_ = cmd.Run() // the client sees that it is over
				return
			}
		})
	}
}
