package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3/credential"
	"github.com/aivault/aivault/cmd/aivault/cli/argv"
	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

func storeError(k backends.Kind) error { return &backends.Error{Op: "get", Key: "k", Kind: k} }

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
		kind string
	}{
		{errors.New("x"), 1, "failure"},
		{usage("x"), 2, "usage"},
		{hint(usage("x"), "y"), 2, "usage"},
		{argv.ErrUsage, 2, "usage"},
		{naming.ErrInvalid, 2, "usage"},
		{state.ErrBadName, 2, "usage"},
		{identity.ErrFormat, 2, "identity"},
		{errPartial, 3, "partial"},
		{errNothingToDo, 4, "nothing-to-do"},
		{vault.ErrNotFound, 5, "not-found"},
		{vault.ErrNoTensor, 5, "no-tensor"},
		{fmt.Errorf("%w: %w", vault.ErrEmptyMain, vault.ErrNotFound), 5, "not-found"},
		{vault.ErrNoVault, 10, "no-vault"},
		{vault.ErrConflict, 11, "conflict"},
		{vault.ErrVaultExists, 11, "conflict"},
		{storeError(backends.Denied), 12, "denied"},
		{custody.ErrDenied, 12, "denied"},
		{seal.ErrNoMatch, 12, "denied"},
		{vault.ErrNoAccess, 12, "not-a-member"},
		{vault.ErrNotPermitted, 12, "role"},
		{identity.ErrPassphrase, 12, "passphrase"},
		{credential.ErrNone, 12, "credentials"},
		{credential.ErrExpired, 12, "credentials-expired"},
		{&backends.Error{Kind: backends.Denied, Expired: true}, 12, "credentials-expired"},
		{vault.ErrIntegrity, 13, "integrity"},
		{vault.ErrJunk, 13, "integrity"},
		{journal.ErrUnverifiable, 13, "integrity"},
		{state.ErrUnverifiable, 13, "integrity"},
		{entry.ErrMalformed, 13, "integrity"},
		{entry.ErrChain, 13, "integrity"},
		{seal.ErrCorrupt, 13, "integrity"},
		{dsse.ErrSignature, 13, "integrity"},
		{custody.ErrMismatch, 13, "integrity"},
		{custody.ErrCorrupt, 13, "integrity"},
		{storeError(backends.Corrupt), 13, "integrity"},
		{fmt.Errorf("%w: %w", journal.ErrUnverifiable, storeError(backends.NotExist)), 13, "integrity"},
		{errors.Join(context.Canceled, seal.ErrCorrupt), 13, "integrity"},
		{vault.ErrDestroyed, 14, "destroyed"},
		{custody.ErrDestroyed, 14, "destroyed"},
		{vault.ErrRefused, 15, "refused"},
		{vault.ErrUnfit, 15, "unfit"},
		{custody.ErrUnfit, 15, "unfit"},
		{storeError(backends.Retained), 15, "refused"},
		{vault.ErrRolledBack, 17, "rolled-back"},
		{storeError(backends.Unavailable), 18, "unreachable"},
		{storeError(backends.Indeterminate), 18, "unreachable"},
		{custody.ErrUnavailable, 18, "unreachable"},
		{credential.ErrUnavailable, 18, "unreachable"},
		{errTimeout, 18, "timeout"},
		{&backends.Error{Kind: backends.Unavailable, RetryAfter: time.Second}, 19, "rate"},
		{custody.ErrRateLimited, 19, "rate"},
		{fmt.Errorf("unwrap: %w", &custody.RateLimit{RetryAfter: time.Second, Err: custody.ErrDenied}), 19, "rate"},
		{&interruption{os.Interrupt}, 130, "interrupted"},
		{&interruption{syscall.SIGTERM}, 143, "terminated"},
		{fmt.Errorf("%w: %w", entry.ErrMalformed, entry.ErrUpgrade), 1, "upgrade"},
		{storeError(backends.Full), 1, "full"},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, 1, "full"},
		{storeError(backends.Archived), 1, "archived"},
		{storeError(backends.NotExist), 1, "failure"},
		{fs.ErrNotExist, 1, "failure"},
		{custody.ErrNotFound, 1, "key-not-found"},
		{machine.ErrDamaged, 1, "state"},
		{vault.ErrChanged, 1, "changed"},
		{vault.ErrOverwrite, 1, "overwrite"},
		{vault.ErrSource, 2, "usage"},
		{path.ErrBadPattern, 2, "usage"},
	} {
		for _, err := range []error{tc.err, fmt.Errorf("doing this: %w", tc.err)} {
			if v := judge(err); v.code != tc.code || v.kind != tc.kind {
				t.Errorf("%v: %d %s, want %d %s", err, v.code, v.kind, tc.code, tc.kind)
			}
		}
	}
}
