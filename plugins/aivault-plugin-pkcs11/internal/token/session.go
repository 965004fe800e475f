//go:build linux && cgo

package token

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/aivault/aivault/crypto/custody"
)

// session is one session with the token, of one caller at a time.
type session struct {
	*Keeper
	handle pkcs11.SessionHandle
}

// A token that others write to at the same moment may fail for no reason of ours:
// SoftHSM's processes do, which share files.
const (
	failures  = 5                     // of one call, in a row, before they are believed
	firstWait = 10 * time.Millisecond // before the second try; it doubles
)

// with gives do a session that is logged in. If the token lost it, do is called
// once more with another; if it failed without a reason, a few times more. So do
// begins by looking what there is.
func (k *Keeper) with(ctx context.Context, do func(session) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var h pkcs11.SessionHandle
	select {
	case h = <-k.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { k.free <- h }()
	for again, tries := true, 1; ; tries++ {
		var err error
		if h == 0 {
			if h, err = k.login(); err != nil {
				return err
			}
		}
		if err = k.loggedIn(h); err == nil {
			err = do(session{k, h})
		}
		switch {
		case unexplained(err) && tries < failures:
			if wait(ctx, firstWait<<(tries-1)) != nil {
				return err
			}
			continue
		case !lost(err):
			return err
		}
		k.module.CloseSession(h)
		h = 0
		if !again || ctx.Err() != nil {
			return err
		}
		again = false
	}
}

// wait waits for at most d, a random part of it.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unexplained reports whether the token failed without saying why.
func unexplained(err error) bool {
	return is(err, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED)
}

// login opens a session. One login is that of all sessions of this process.
func (k *Keeper) login() (pkcs11.SessionHandle, error) {
	h, err := k.module.OpenSession(k.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return 0, failed("opening a session", err)
	}
	pin, err := k.pin()
	if err == nil {
		if err = k.module.Login(h, pkcs11.CKU_USER, pin); is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
			err = nil
		} else if err != nil {
			err = failed("logging in", err)
		}
	}
	if err != nil {
		k.module.CloseSession(h)
		return 0, err
	}
	return h, nil
}

// loggedIn makes sure that a session sees private objects: without a login a
// token does not refuse to look, it finds nothing.
func (k *Keeper) loggedIn(h pkcs11.SessionHandle) error {
	info, err := k.module.GetSessionInfo(h)
	if err == nil && info.State != pkcs11.CKS_RW_USER_FUNCTIONS {
		err = pkcs11.Error(pkcs11.CKR_USER_NOT_LOGGED_IN)
	}
	if err != nil {
		return failed("asking for the session", err)
	}
	return nil
}

func is(err error, codes ...uint) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && slices.Contains(codes, uint(e))
}

// lost reports whether an error means that a session is over.
func lost(err error) bool {
	return is(err, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_USER_NOT_LOGGED_IN,
		pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT)
}

// gone reports whether an object was destroyed since it was found.
func gone(err error) bool {
	return is(err, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID)
}

// failed gives an error of the library its kind.
func failed(what string, err error) error {
	kind := custody.ErrUnavailable
	switch {
	case is(err, pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_LOCKED, pkcs11.CKR_PIN_EXPIRED,
		pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_USER_PIN_NOT_INITIALIZED, pkcs11.CKR_USER_TYPE_INVALID, pkcs11.CKR_SESSION_READ_ONLY,
		pkcs11.CKR_TOKEN_WRITE_PROTECTED, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED, pkcs11.CKR_ACTION_PROHIBITED):
		kind = custody.ErrDenied
	case is(err, pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_FUNCTION_NOT_SUPPORTED):
		kind = custody.ErrUnfit
	}
	return fmt.Errorf("%s: %w: %w", what, kind, err)
}
