package wire_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/internal/wire"
	"github.com/aivault/aivault/plugins/internal/wiretest"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// perjurer answers every call as it was told.
type perjurer struct {
	pluginv1.UnimplementedKeeperServer
	create  *pluginv1.CreateResponse
	wrap    *pluginv1.WrapResponse
	unwrap  *pluginv1.UnwrapResponse
	destroy *pluginv1.DestroyResponse
	status  *pluginv1.StatusResponse
	list    *pluginv1.ListKeysResponse
	profile *pluginv1.ProfileResponse
}

func (p *perjurer) Create(context.Context, *pluginv1.CreateRequest) (*pluginv1.CreateResponse, error) {
	return p.create, nil
}
func (p *perjurer) Wrap(context.Context, *pluginv1.WrapRequest) (*pluginv1.WrapResponse, error) {
	return p.wrap, nil
}
func (p *perjurer) Unwrap(context.Context, *pluginv1.UnwrapRequest) (*pluginv1.UnwrapResponse, error) {
	return p.unwrap, nil
}
func (p *perjurer) Destroy(context.Context, *pluginv1.DestroyRequest) (*pluginv1.DestroyResponse, error) {
	return p.destroy, nil
}
func (p *perjurer) Status(context.Context, *pluginv1.StatusRequest) (*pluginv1.StatusResponse, error) {
	return p.status, nil
}
func (p *perjurer) ListKeys(_ *pluginv1.ListKeysRequest, s pluginv1.Keeper_ListKeysServer) error {
	return s.Send(p.list)
}
func (p *perjurer) Profile(context.Context, *pluginv1.ProfileRequest) (*pluginv1.ProfileResponse, error) {
	return p.profile, nil
}

func sworn(t *testing.T, p *perjurer) *wire.Keeper {
	t.Helper()
	server := grpc.NewServer()
	pluginv1.RegisterKeeperServer(server, p)
	conn := wiretest.Connect(t, server)
	return wire.NewKeeper(func(context.Context) (wire.Session, error) { return wire.Session{Conn: conn, PID: os.Getpid()}, nil }, options)
}

// honest is a perjurer that does not lie.
func honest() *perjurer {
	at := timestamppb.New(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	return &perjurer{
		create: &pluginv1.CreateResponse{Ref: "key"}, wrap: &pluginv1.WrapResponse{Wrapped: []byte("w")}, unwrap: &pluginv1.UnwrapResponse{Secret: []byte("s")},
		destroy: &pluginv1.DestroyResponse{Ref: "key", State: pluginv1.KeyState_KEY_STATE_DESTROYED, At: at},
		status:  &pluginv1.StatusResponse{Ref: "key", Label: "label", State: pluginv1.KeyState_KEY_STATE_ALIVE, Since: at},
		list:    &pluginv1.ListKeysResponse{Refs: []string{"key"}},
		profile: &pluginv1.ProfileResponse{Instance: "one", Kind: "test", Algorithm: "none", Strength: 256, BackupRetention: "unknown"},
	}
}

// all makes every call and joins what went wrong.
func all(ctx context.Context, k custody.Keeper) error {
	_, create := k.Create(ctx, "label")
	_, wrap := k.Wrap(ctx, "key", [32]byte{}, []byte("s"))
	_, unwrap := k.Unwrap(ctx, "key", [32]byte{}, []byte("w"))
	_, destroy := k.Destroy(ctx, "key")
	_, status := k.Status(ctx, "key")
	_, profile := k.Profile(ctx)
	var list error
	for _, err := range k.List(ctx, "l") {
		list = err
	}
	return errors.Join(create, wrap, unwrap, destroy, status, profile, list)
}

func TestHostileKeeper(t *testing.T) {
	if err := all(t.Context(), sworn(t, honest())); err != nil {
		t.Fatalf("the control: %v", err)
	}
	long := strings.Repeat("x", 300)
	late := timestamppb.New(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	for what, lie := range map[string]func(*perjurer){
		"an endless ref":              func(p *perjurer) { p.create.Ref = long },
		"a ref with a newline":        func(p *perjurer) { p.create.Ref = "a\nb" },
		"an empty wrapping":           func(p *perjurer) { p.wrap.Wrapped = nil },
		"an endless wrapping":         func(p *perjurer) { p.wrap.Wrapped = make([]byte, custody.MaxWrapped+1) },
		"an empty secret":             func(p *perjurer) { p.unwrap.Secret = nil },
		"an endless secret":           func(p *perjurer) { p.unwrap.Secret = make([]byte, custody.MaxSecret+1) },
		"another key destroyed":       func(p *perjurer) { p.destroy.Ref = "other" },
		"destroyed and alive":         func(p *perjurer) { p.destroy.State = pluginv1.KeyState_KEY_STATE_ALIVE },
		"destroyed at no time":        func(p *perjurer) { p.destroy.At = nil },
		"destroyed until":             func(p *perjurer) { p.destroy.Until = late },
		"pending for nothing":         func(p *perjurer) { p.destroy.State = pluginv1.KeyState_KEY_STATE_PENDING },
		"endless evidence":            func(p *perjurer) { p.destroy.Evidence = make([]byte, custody.MaxEvidence+1) },
		"another key's state":         func(p *perjurer) { p.status.Ref = "other" },
		"an unknown state":            func(p *perjurer) { p.status.State = 4 },
		"a label of no key":           func(p *perjurer) { p.status.Label = "A label" },
		"an impossible time":          func(p *perjurer) { p.status.Since = &timestamppb.Timestamp{Nanos: -1} },
		"an empty page":               func(p *perjurer) { p.list.Refs = nil },
		"too long a page":             func(p *perjurer) { p.list.Refs = strings.Fields(strings.Repeat("key ", 257)) },
		"a listed key of no form":     func(p *perjurer) { p.list.Refs = []string{"a b"} },
		"an instance of no form":      func(p *perjurer) { p.profile.Instance = long },
		"a kind of no form":           func(p *perjurer) { p.profile.Kind = "Kind" },
		"a note that clears a screen": func(p *perjurer) { p.profile.Notes = []string{"\x1b[2J"} },
		"a hundred notes":             func(p *perjurer) { p.profile.Notes = strings.Fields(strings.Repeat("note ", 100)) },
		"a certificate of two lines":  func(p *perjurer) { p.profile.Certificates = []string{"a\nb"} },
		"no algorithm":                func(p *perjurer) { p.profile.Algorithm = "" },
		"no word on copies":           func(p *perjurer) { p.profile.BackupRetention = "" },
		"no strength":                 func(p *perjurer) { p.profile.Strength = 0 },
		"a delay into the past":       func(p *perjurer) { p.profile.DeletionDelay = durationpb.New(-time.Second) },
		"a delay that is no duration": func(p *perjurer) { p.profile.DeletionDelay = &durationpb.Duration{Seconds: 1, Nanos: -1} },
	} {
		p := honest()
		lie(p)
		if err := all(t.Context(), sworn(t, p)); !errors.Is(err, wire.ErrProtocol) || !errors.Is(err, custody.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
}

func TestKeeperErrorsSurvive(t *testing.T) {
	kinds := []error{
		custody.ErrDestroyed, custody.ErrNotFound, custody.ErrDenied, custody.ErrMismatch, custody.ErrInvalid,
		custody.ErrUnavailable, custody.ErrRateLimited, custody.ErrCorrupt, custody.ErrUnfit, custody.ErrNoKeeper,
	}
	source, err := os.ReadFile(filepath.Join("..", "..", "..", "crypto", "custody", "errors.go"))
	if n := len(regexp.MustCompile(`(?m)^\tErr\w+ += `).FindAll(source, -1)); err != nil || n != len(kinds) {
		t.Fatalf("the contract has %d kinds of errors, this test %d (%v)", n, len(kinds), err)
	}
	for _, kind := range kinds {
		k := wire.NewKeeper(open(t, wiretest.Serve(t, wire.Implementation{Version: "1", Keeper: func(context.Context, string, bool) (custody.Keeper, error) {
			return refusing{err: fmt.Errorf("the HSM says: %w", kind)}, nil
		}}), "", false), options)
		_, err := k.Create(t.Context(), "label")
		for _, other := range kinds {
			if errors.Is(err, other) != errors.Is(kind, other) {
				t.Errorf("%v became %v", kind, err)
			}
		}
		if !strings.Contains(err.Error(), "the HSM says") {
			t.Errorf("%v does not say why", err)
		}
	}
}

type refusing struct {
	custody.Keeper
	err error
}

func (r refusing) Create(context.Context, string) (custody.KeyRef, error) { return "", r.err }
