package wire

import (
	"context"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// keeperServer serves a keeper.
type keeperServer struct {
	pluginv1.UnimplementedKeeperServer
	p *pluginServer
}

func binding(b []byte) ([32]byte, error) {
	if len(b) != 32 {
		return [32]byte{}, status.Error(codes.InvalidArgument, "a context has 32 bytes")
	}
	return [32]byte(b), nil
}

func (s *keeperServer) Create(ctx context.Context, m *pluginv1.CreateRequest) (*pluginv1.CreateResponse, error) {
	k, err := s.p.theKeeper()
	if err != nil {
		return nil, err
	}
	ref, err := k.Create(ctx, m.GetLabel())
	if err != nil {
		return nil, toKeeperStatus(err)
	}
	return &pluginv1.CreateResponse{Ref: string(ref)}, nil
}

func (s *keeperServer) Wrap(ctx context.Context, m *pluginv1.WrapRequest) (*pluginv1.WrapResponse, error) {
	k, err := s.p.theKeeper()
	if err != nil {
		return nil, err
	}
	context, err := binding(m.GetContext())
	if err != nil {
		return nil, err
	}
	defer clear(m.GetSecret())
	wrapped, err := k.Wrap(ctx, custody.KeyRef(m.GetRef()), context, m.GetSecret())
	if err != nil {
		return nil, toKeeperStatus(err)
	}
	return &pluginv1.WrapResponse{Wrapped: wrapped}, nil
}

func (s *keeperServer) Unwrap(ctx context.Context, m *pluginv1.UnwrapRequest) (*pluginv1.UnwrapResponse, error) {
	k, err := s.p.theKeeper()
	if err != nil {
		return nil, err
	}
	context, err := binding(m.GetContext())
	if err != nil {
		return nil, err
	}
	secret, err := k.Unwrap(ctx, custody.KeyRef(m.GetRef()), context, m.GetWrapped())
	if err != nil {
		return nil, toKeeperStatus(err)
	}
	return &pluginv1.UnwrapResponse{Secret: secret}, nil
}

func (s *keeperServer) Destroy(ctx context.Context, m *pluginv1.DestroyRequest) (*pluginv1.DestroyResponse, error) {
	k, err := s.p.theKeeper()
	if err != nil {
		return nil, err
	}
	d, err := k.Destroy(ctx, custody.KeyRef(m.GetRef()))
	if err != nil {
		return nil, toKeeperStatus(err)
	}
	return &pluginv1.DestroyResponse{
		Ref: string(d.Ref), State: pluginv1.KeyState(d.State), At: toTime(d.At), Until: toTime(d.Until), Evidence: d.Evidence,
	}, nil
}

func (s *keeperServer) Status(ctx context.Context, m *pluginv1.StatusRequest) (*pluginv1.StatusResponse, error) {
	k, err := s.p.theKeeper()
	if err != nil {
		return nil, err
	}
	st, err := k.Status(ctx, custody.KeyRef(m.GetRef()))
	if err != nil {
		return nil, toKeeperStatus(err)
	}
	return &pluginv1.StatusResponse{
		Ref: string(st.Ref), Label: st.Label, State: pluginv1.KeyState(st.State), Since: toTime(st.Since), Until: toTime(st.Until),
	}, nil
}

func (s *keeperServer) ListKeys(m *pluginv1.ListKeysRequest, stream pluginv1.Keeper_ListKeysServer) error {
	k, err := s.p.theKeeper()
	if err != nil {
		return err
	}
	page := &pluginv1.ListKeysResponse{}
	for ref, err := range k.List(stream.Context(), m.GetLabelPrefix()) {
		if err != nil {
			return toKeeperStatus(err)
		}
		if page.Refs = append(page.Refs, string(ref)); len(page.Refs) < pageSize {
			continue
		}
		if err := stream.Send(page); err != nil {
			return err
		}
		page = &pluginv1.ListKeysResponse{}
	}
	if len(page.Refs) == 0 {
		return nil
	}
	return stream.Send(page)
}

func (s *keeperServer) Profile(ctx context.Context, _ *pluginv1.ProfileRequest) (*pluginv1.ProfileResponse, error) {
	k, err := s.p.theKeeper()
	if err != nil {
		return nil, err
	}
	p, err := k.Profile(ctx)
	if err != nil {
		return nil, toKeeperStatus(err)
	}
	return &pluginv1.ProfileResponse{
		Instance: p.Instance, Kind: p.Kind, Algorithm: p.Algorithm, Strength: int32(p.Strength), PostQuantum: p.PostQuantum,
		KeyThroughHost: p.KeyThroughHost, BackupRetention: clean(p.BackupRetention), DeletionDelay: durationpb.New(p.DeletionDelay),
		Certificates: cleanAll(p.Certificates), Notes: cleanAll(p.Notes),
	}, nil
}
