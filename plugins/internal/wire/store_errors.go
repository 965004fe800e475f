package wire

import (
	"context"
	"errors"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// A store's error kinds have the same numbers on the wire and in the contract.
func toStoreKind(k backends.Kind) pluginv1.StoreErrorKind { return pluginv1.StoreErrorKind(k) }

func fromStoreKind(k pluginv1.StoreErrorKind) (backends.Kind, bool) {
	return backends.Kind(k), k >= pluginv1.StoreErrorKind(backends.NotExist) && k <= pluginv1.StoreErrorKind(backends.Full)
}

// toStoreStatus is the status that tells of a store's error. unclear is the kind
// of an error that has none.
func toStoreStatus(err error, unclear backends.Kind) error {
	detail := &pluginv1.StoreError{Kind: toStoreKind(unclear), Message: clean(err.Error())}
	if k := backends.KindOf(err); k != 0 {
		detail.Kind = toStoreKind(k)
	}
	if e, ok := errors.AsType[*backends.Error](err); ok {
		detail.Message = ""
		if e.Err != nil {
			detail.Message = clean(e.Err.Error())
		}
		detail.Stalled, detail.Expired = e.Stalled, e.Expired
		if e.RetryAfter > 0 {
			detail.RetryAfter = durationpb.New(e.RetryAfter)
		}
	}
	s, derr := status.New(codes.Aborted, detail.Message).WithDetails(detail)
	if derr != nil {
		return status.Error(codes.Internal, clean(derr.Error()))
	}
	return s.Err()
}

// remote is what a plugin says went wrong.
type remote string

func (r remote) Error() string { return string(r) }

// storeFailure makes the error of a call. unclear is its kind where no plugin
// gave one: the call may, or may not, have been applied.
func storeFailure(c *call, op, key string, unclear backends.Kind, err error) error {
	out := &backends.Error{Op: op, Key: key, Kind: unclear, Err: err}
	if e, ok := errors.AsType[*backends.Error](err); ok {
		return e
	}
	if detail := detailOf[*pluginv1.StoreError](err); detail != nil {
		kind, known := fromStoreKind(detail.Kind)
		retry, rerr := fromDuration("retry_after", detail.RetryAfter)
		if known && rerr == nil && retry >= 0 {
			out.Kind, out.RetryAfter, out.Stalled, out.Expired, out.Err = kind, retry, detail.Stalled, detail.Expired, nil
			if m := clean(detail.Message); m != "" {
				out.Err = remote(m)
			}
			if kind == backends.Unavailable || kind == backends.Indeterminate {
				out.Err = errors.Join(c.parent.Err(), out.Err)
			}
			return out
		}
		err = protocol("it ended %s with error kind %d", op, detail.Kind)
		out.Err = err
	}
	switch ended := c.ended(); {
	case errors.Is(ended, errStalled):
		out.Stalled, out.Err = true, errStalled
	case ended != nil:
		out.Err = ended
	case errors.Is(err, ErrProtocol):
		if unclear == backends.Unavailable {
			out.Kind = backends.Corrupt // what it says of what is stored cannot be used
		}
	default:
		out.Err = transport(err)
	}
	return out
}

// detailOf returns the detail of type T that a status carries.
func detailOf[T any](err error) (none T) {
	for _, d := range status.Convert(err).Details() {
		if t, ok := d.(T); ok {
			return t
		}
	}
	return none
}

// transport is an error of the connection, without what gRPC puts around it.
func transport(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch s.Code() {
	case codes.Canceled:
		return remote("the plugin gave up the call")
	case codes.DeadlineExceeded:
		return remote("the plugin ran out of time")
	case codes.Unavailable:
		return remote("the connection to the plugin broke: " + clean(s.Message()))
	}
	return remote(clean(s.Message()))
}

// isContext says whether err is about the end of a context.
func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
