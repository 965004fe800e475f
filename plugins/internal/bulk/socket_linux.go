package bulk

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxAddress is the longest address, in bytes: what fits into a sockaddr_un.
const maxAddress = 100

// Listen opens a socket under a random abstract name: nothing of it is left in a
// file system, however this process ends.
func Listen() (*Listener, error) {
	var id [16]byte
	rand.Read(id[:])
	address := "aivault-plugin-" + hex.EncodeToString(id[:])
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@" + address, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for transfers: %w", err)
	}
	return newListener(l, address), nil
}

// Dial connects to the listener at address, if it is of the process pid, for the
// transfer that token names. The caller closes the connection.
func Dial(ctx context.Context, address string, pid int, token []byte) (net.Conn, error) {
	if address == "" || len(address) > maxAddress || strings.ContainsRune(address, 0) || len(token) != TokenSize {
		return nil, fmt.Errorf("address of %d bytes, token of %d: %w", len(address), len(token), ErrFrame)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", "@"+address)
	if err != nil {
		return nil, err
	}
	peer, err := credentials(c.(*net.UnixConn))
	if err == nil && int(peer.Pid) != pid {
		err = fmt.Errorf("the socket is of process %d, the plugin is %d", peer.Pid, pid)
	}
	if err == nil {
		_, err = c.Write(token)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// checkUser refuses a peer that is another user's.
func checkUser(c *net.UnixConn) error {
	peer, err := credentials(c)
	if err != nil {
		return err
	}
	if int(peer.Uid) != os.Geteuid() {
		return errors.New("the peer is another user")
	}
	return nil
}

func credentials(c *net.UnixConn) (peer *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return peer, errors.Join(cerr, err)
}
