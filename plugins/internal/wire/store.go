package wire

import (
	"context"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/pluginv1"
)

// Store is a store that a plugin serves.
type Store struct {
	connect Connect
	o       Options
}

var _ backends.Store = (*Store)(nil)

// NewStore returns the store of the plugin that connect reaches.
func NewStore(connect Connect, o Options) *Store { return &Store{connect, o} }

// session begins a call: it connects, and returns what bounds the call.
func (s *Store) session(ctx context.Context, op, key string) (Session, pluginv1.StoreClient, *call, error) {
	if err := ctx.Err(); err != nil {
		return Session{}, nil, nil, &backends.Error{Op: op, Key: key, Kind: backends.Unavailable, Err: err}
	}
	session, err := s.connect(ctx)
	if err != nil {
		return Session{}, nil, nil, &backends.Error{Op: op, Key: key, Kind: backends.Unavailable, Err: err}
	}
	return session, pluginv1.NewStoreClient(session.Conn), begin(ctx, s.o.Stall), nil
}

func invalid(op, key string, err error) error {
	return &backends.Error{Op: op, Key: key, Kind: backends.Invalid, Err: err}
}
