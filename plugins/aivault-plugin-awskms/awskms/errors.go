package awskms

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// errAbsent: KMS knows no such key.
var errAbsent = fmt.Errorf("%w: not there", custody.ErrUnavailable)

// shortWait is how long to wait where KMS does not say: its quotas are of requests
// a second.
const shortWait = time.Second

// deniedCodes are those of errors about who asks.
var deniedCodes = map[string]bool{
	"AccessDeniedException": true, "UnrecognizedClientException": true, "InvalidSignatureException": true, "ExpiredTokenException": true,
	"ExpiredToken": true, "InvalidClientTokenId": true, "IncompleteSignature": true, "MissingAuthenticationToken": true, "OptInRequired": true,
	"NotAuthorized": true, "MissingAuthenticationTokenException": true, "IncompleteSignatureException": true,
}

// translate gives an error of the SDK its kind.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("%w: %w", custody.ErrUnavailable, err))
	}
	if _, ok := errors.AsType[*types.NotFoundException](err); ok {
		return errAbsent
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		if _, sent := errors.AsType[*smithyhttp.RequestSendError](err); !sent {
			if _, canceled := errors.AsType[*smithy.CanceledError](err); !canceled && isSigning(err) {
				return fmt.Errorf("%w: no credentials for AWS: %w", custody.ErrDenied, err)
			}
		}
		return fmt.Errorf("%w: %w", custody.ErrUnavailable, err)
	}
	// The code and KMS's own words: not what the SDK puts around them.
	why := fmt.Errorf("KMS answers %s: %s", api.ErrorCode(), api.ErrorMessage())
	if _, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttled {
		return &custody.RateLimit{RetryAfter: retryAfter(err), Err: why}
	}
	kind := custody.ErrUnavailable
	_, disabled := errors.AsType[*types.DisabledException](err)
	_, full := errors.AsType[*types.LimitExceededException](err)
	if deniedCodes[api.ErrorCode()] || disabled || full {
		kind = custody.ErrDenied
	}
	return fmt.Errorf("%w: %w", kind, why)
}

// isSigning says whether a request failed before it was sent, for want of
// credentials.
func isSigning(err error) bool {
	op, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return false
	}
	_, answered := errors.AsType[*smithyhttp.ResponseError](op.Err)
	return !answered
}

// retryAfter reads how long KMS, or what stands before it, asks to wait.
func retryAfter(err error) time.Duration {
	r, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || r.Response == nil {
		return shortWait
	}
	if n, err := strconv.ParseUint(r.Response.Header.Get("Retry-After"), 10, 16); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return shortWait
}
