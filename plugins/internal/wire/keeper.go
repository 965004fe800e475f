package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc"
)

// Keeper is a keeper that a plugin serves.
type Keeper struct {
	connect Connect
	o       Options
}

var _ custody.Keeper = (*Keeper)(nil)

// NewKeeper returns the keeper of the plugin that connect reaches.
func NewKeeper(connect Connect, o Options) *Keeper { return &Keeper{connect, o} }

// session begins a call.
func (k *Keeper) session(ctx context.Context, op, what string, check error) (pluginv1.KeeperClient, *call, error) {
	if err := errors.Join(ctx.Err(), check); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	session, err := k.connect(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w: %w", op, what, custody.ErrUnavailable, err)
	}
	return pluginv1.NewKeeperClient(session.Conn), begin(ctx, k.o.Stall), nil
}

// ask makes one call that has one answer, and judges it.
func ask[Q, A, R any](ctx context.Context, k *Keeper, op, what string, check error, method func(pluginv1.KeeperClient, context.Context, *Q, ...grpc.CallOption) (*A, error), q *Q, judge func(*A) (R, error)) (R, error) {
	var none R
	client, c, err := k.session(ctx, op, what, check)
	if err != nil {
		return none, err
	}
	defer c.end()
	a, err := method(client, c, q)
	if err != nil {
		return none, keeperFailure(c, op, what, err)
	}
	r, err := judge(a)
	if err != nil {
		return none, keeperFailure(c, op, what, err)
	}
	return r, nil
}

// Create implements [custody.Keeper].
func (k *Keeper) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	return ask(ctx, k, "create key", label, custody.CheckLabel(label), pluginv1.KeeperClient.Create,
		&pluginv1.CreateRequest{Label: label}, func(a *pluginv1.CreateResponse) (custody.KeyRef, error) { return fromKeyRef(a.GetRef()) })
}

// Wrap implements [custody.Keeper].
func (k *Keeper) Wrap(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	return ask(ctx, k, "wrap under", string(ref), errors.Join(custody.CheckRef(ref), custody.CheckSecret(secret)), pluginv1.KeeperClient.Wrap,
		&pluginv1.WrapRequest{Ref: string(ref), Context: context[:], Secret: secret}, func(a *pluginv1.WrapResponse) ([]byte, error) {
			if n := len(a.GetWrapped()); n == 0 || n > custody.MaxWrapped {
				return nil, protocol("a wrapping of %d bytes", n)
			}
			return a.GetWrapped(), nil
		})
}

// Unwrap implements [custody.Keeper]. No keeper makes wrappings of more than
// MaxWrapped bytes, so that one byte more says as much as all of a longer one.
func (k *Keeper) Unwrap(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	wrapped = wrapped[:min(len(wrapped), custody.MaxWrapped+1)]
	return ask(ctx, k, "unwrap under", string(ref), custody.CheckRef(ref), pluginv1.KeeperClient.Unwrap,
		&pluginv1.UnwrapRequest{Ref: string(ref), Context: context[:], Wrapped: wrapped}, func(a *pluginv1.UnwrapResponse) ([]byte, error) {
			if custody.CheckSecret(a.GetSecret()) != nil {
				return nil, protocol("a secret of %d bytes", len(a.GetSecret()))
			}
			return a.GetSecret(), nil
		})
}

// Destroy implements [custody.Keeper].
func (k *Keeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	return ask(ctx, k, "destroy", string(ref), custody.CheckRef(ref), pluginv1.KeeperClient.Destroy,
		&pluginv1.DestroyRequest{Ref: string(ref)}, func(a *pluginv1.DestroyResponse) (custody.Destruction, error) { return fromDestruction(ref, a) })
}

// Status implements [custody.Keeper].
func (k *Keeper) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	return ask(ctx, k, "status of", string(ref), custody.CheckRef(ref), pluginv1.KeeperClient.Status,
		&pluginv1.StatusRequest{Ref: string(ref)}, func(a *pluginv1.StatusResponse) (custody.KeyStatus, error) { return fromStatus(ref, a) })
}

// Profile implements [custody.Keeper].
func (k *Keeper) Profile(ctx context.Context) (custody.Profile, error) {
	return ask(ctx, k, "profile", "of the keeper", nil, pluginv1.KeeperClient.Profile, &pluginv1.ProfileRequest{}, fromProfile)
}

// List implements [custody.Keeper].
func (k *Keeper) List(ctx context.Context, labelPrefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		client, c, err := k.session(ctx, "list keys", labelPrefix, custody.CheckLabelPrefix(labelPrefix))
		if err != nil {
			yield("", err)
			return
		}
		defer c.end()
		more, err := listKeys(c, client, labelPrefix, yield)
		if err != nil && more {
			yield("", keeperFailure(c, "list keys", labelPrefix, err))
		}
	}
}

// listKeys yields what the plugin lists; more says that the caller still wants
// more.
func listKeys(c *call, client pluginv1.KeeperClient, prefix string, yield func(custody.KeyRef, error) bool) (more bool, err error) {
	stream, err := client.ListKeys(c, &pluginv1.ListKeysRequest{LabelPrefix: prefix})
	if err != nil {
		return true, err
	}
	for {
		c.await()
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		c.pause()
		if n := len(page.GetRefs()); n == 0 || n > pageSize {
			return true, protocol("a page of %d keys", n)
		}
		for _, r := range page.GetRefs() {
			if err := c.parent.Err(); err != nil {
				return true, err
			}
			ref, err := fromKeyRef(r)
			if err != nil {
				return true, err
			}
			if !yield(ref, nil) {
				return false, nil
			}
		}
	}
}
