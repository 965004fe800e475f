package wire

import (
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// keeperKinds is the table of plugins/PROTOCOL.md §6. An error that is several
// of them crosses as the first.
func keeperKinds() []error {
	return []error{
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_DESTROYED:    custody.ErrDestroyed,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_NOT_FOUND:    custody.ErrNotFound,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_DENIED:       custody.ErrDenied,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_MISMATCH:     custody.ErrMismatch,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_INVALID:      custody.ErrInvalid,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_UNAVAILABLE:  custody.ErrUnavailable,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_RATE_LIMITED: custody.ErrRateLimited,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_CORRUPT:      custody.ErrCorrupt,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_UNFIT:        custody.ErrUnfit,
		pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_NO_KEEPER:    custody.ErrNoKeeper,
	}
}

// toKeeperStatus is the status that tells of a keeper's error; one of no kind is
// Unavailable.
func toKeeperStatus(err error) error {
	detail := &pluginv1.KeeperError{Kind: pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_UNAVAILABLE, Message: clean(err.Error())}
	for kind, sentinel := range keeperKinds() {
		if errors.Is(err, custody.ErrNoKeeper) && sentinel == custody.ErrUnavailable {
			continue // it is that too
		}
		if sentinel != nil && errors.Is(err, sentinel) {
			detail.Kind = pluginv1.KeeperErrorKind(kind)
			break
		}
	}
	if limit, ok := errors.AsType[*custody.RateLimit](err); ok && limit.RetryAfter > 0 {
		detail.Kind = pluginv1.KeeperErrorKind_KEEPER_ERROR_KIND_RATE_LIMITED // whatever its cause is
		detail.RetryAfter = durationpb.New(limit.RetryAfter)
		if limit.Err != nil {
			detail.Message = clean(limit.Err.Error())
		}
	}
	s, derr := status.New(codes.Aborted, detail.Message).WithDetails(detail)
	if derr != nil {
		return status.Error(codes.Internal, clean(derr.Error()))
	}
	return s.Err()
}

// keeperFailure makes the error of a call about what. Where no plugin gave a
// kind, the keeper is unavailable: the call may have been applied.
func keeperFailure(c *call, op, what string, err error) error {
	subject := op
	if what != "" {
		subject += " " + what
	}
	if detail := detailOf[*pluginv1.KeeperError](err); detail != nil {
		kinds := keeperKinds()
		if detail.Kind > 0 && int(detail.Kind) < len(kinds) {
			kind := kinds[detail.Kind]
			if ended := c.parent.Err(); ended != nil {
				return fmt.Errorf("%s: %w: %w", subject, kind, ended)
			}
			retry, rerr := fromDuration("retry_after", detail.RetryAfter)
			if kind == custody.ErrRateLimited && rerr == nil && retry > 0 {
				return fmt.Errorf("%s: %w", subject, &custody.RateLimit{RetryAfter: retry, Err: remote(clean(detail.Message))})
			}
			return fmt.Errorf("%s: %w: %w", subject, kind, remote(clean(detail.Message)))
		}
		err = protocol("it ended %s with error kind %d", op, detail.Kind)
	}
	if ended := c.ended(); ended != nil {
		err = ended
	} else if !errors.Is(err, ErrProtocol) {
		err = transport(err)
	}
	return fmt.Errorf("%s: %w: %w", subject, custody.ErrUnavailable, err)
}
