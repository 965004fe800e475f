//go:build !linux

package bulk

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Listen fails: only Linux has sockets without a file.
func Listen() (*Listener, error) {
	return nil, fmt.Errorf("listening for transfers: %w", errors.ErrUnsupported)
}

// Dial fails, as Listen does.
func Dial(context.Context, string, int, []byte) (net.Conn, error) {
	return nil, fmt.Errorf("connecting for a transfer: %w", errors.ErrUnsupported)
}

func checkUser(*net.UnixConn) error { return errors.ErrUnsupported }
