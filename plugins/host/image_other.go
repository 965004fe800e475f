//go:build !linux

package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/plugins/internal/wire"
	"google.golang.org/grpc"
)

type image struct{ digest canonical.Digest }

func (i *image) close() error { return nil }

// load fails: see the package comment.
func load(string, []canonical.Digest) (*image, error) {
	return nil, fmt.Errorf("%w: plugins run on Linux only: %w", ErrStart, errors.ErrUnsupported)
}

type process struct {
	about wire.Description
	conn  *grpc.ClientConn
	bulk  string
	pid   int
}

func run(context.Context, *image, Options) (*process, error) { return nil, errors.ErrUnsupported }

func (p *process) alive() bool { return false }
func (p *process) close()      {}

func (p *process) said() string { return "" }
