//go:build linux && cgo

package token

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/aivault/aivault/crypto/custody"
)

// Options says which token to open.
type Options struct {
	URI    string                           // see parseURI
	Lookup func(name string) (string, bool) // of the environment
	Now    func() time.Time                 // this machine's clock
}

// Keeper keeps keys in a token.
type Keeper struct {
	module   *pkcs11.Ctx
	slot     uint
	pin      func() (string, error)
	now      func() time.Time
	free     chan pkcs11.SessionHandle // 0: may be opened
	sessions int                       // that are free or in use
	ours     bool                      // this keeper has initialised the library
	profile  custody.Profile
	copyable bool // the token does not know how to forbid copies
}

// maxSessions bounds the sessions that one keeper has with its token.
const maxSessions = 4

// Open loads a token's library, logs in, and measures whether the token can do
// what a keeper promises. The caller closes the keeper.
//
// Errors: custody.ErrInvalid for the URI; ErrUnavailable if library or token are
// not there; ErrDenied if the PIN is wrong, which some tokens count; ErrUnfit.
func Open(ctx context.Context, o Options) (*Keeper, error) {
	u, err := parseURI(o.URI)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k := &Keeper{module: pkcs11.New(u.module), now: o.Now, free: make(chan pkcs11.SessionHandle, maxSessions)}
	if k.module == nil {
		return nil, fmt.Errorf("the library %s cannot be loaded: %w", u.module, custody.ErrUnavailable)
	}
	k.pin = func() (string, error) {
		pin, err := u.pin.Read(o.Lookup)
		if err != nil {
			return "", fmt.Errorf("the token's PIN: %w", err)
		}
		return pin, nil
	}
	switch err := k.module.Initialize(); {
	case err == nil:
		k.ours = true
	case !is(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED):
		k.module.Destroy()
		return nil, failed("initialising the library", err)
	}
	k.allow(1)
	if err := k.open(ctx, u); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// Close ends all sessions. Calls in progress must have returned.
func (k *Keeper) Close() error {
	for range k.sessions {
		if h := <-k.free; h != 0 {
			k.module.CloseSession(h)
		}
	}
	var err error
	if k.ours {
		err = k.module.Finalize()
	}
	k.module.Destroy()
	return err
}

func (k *Keeper) open(ctx context.Context, u uri) error {
	info, err := k.choose(u)
	if err != nil {
		return err
	}
	if !isSoftHSM(info) {
		k.allow(maxSessions - 1)
	}
	if err := k.with(ctx, func(s session) error {
		var err error
		k.copyable, err = s.measure()
		return err
	}); err != nil {
		return err
	}
	k.profile = k.describe(info)
	return custody.CheckRef(custody.KeyRef(k.profile.Instance))
}

// choose finds the one token that the URI means.
func (k *Keeper) choose(u uri) (pkcs11.TokenInfo, error) {
	var found pkcs11.TokenInfo
	n := 0
	slots, err := k.module.GetSlotList(true)
	if err != nil {
		return found, failed("listing slots", err)
	}
	for _, slot := range slots {
		info, err := k.module.GetTokenInfo(slot)
		if err != nil || info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 || u.slot != nil && *u.slot != slot {
			continue
		}
		if matches(u.token, info.Label) && matches(u.serial, info.SerialNumber) && matches(u.manufacturer, info.ManufacturerID) && matches(u.model, info.Model) {
			found, k.slot, n = info, slot, n+1
		}
	}
	switch {
	case n == 0:
		return found, fmt.Errorf("none of the tokens in %d slots is the one that the URI means: %w", len(slots), custody.ErrUnavailable)
	case n > 1:
		return found, bad("%d tokens are meant", n)
	case strings.TrimSpace(found.SerialNumber) == "":
		return found, fmt.Errorf("the token has no serial number, which it is to be known by: %w", custody.ErrUnfit)
	}
	return found, nil
}

// allow lets so many more sessions be opened.
func (k *Keeper) allow(n int) {
	k.sessions += n
	for range n {
		k.free <- 0
	}
}

// isSoftHSM says that keys are files. Threads that write to it at once make its
// library fail, and leave half an object behind.
func isSoftHSM(info pkcs11.TokenInfo) bool { return strings.HasPrefix(info.ManufacturerID, "SoftHSM") }

func matches(asked, has string) bool { return asked == "" || asked == strings.TrimSpace(has) }

func (k *Keeper) describe(info pkcs11.TokenInfo) custody.Profile {
	name := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r <= ' ' || r > '~' {
				return '-'
			}
			return r
		}, strings.TrimSpace(s))
	}
	manufacturer, model, serial := name(info.ManufacturerID), name(info.Model), name(info.SerialNumber)
	p := custody.Profile{
		Instance: "pkcs11-" + manufacturer + "-" + serial, Kind: "pkcs11", Algorithm: "AES-256-GCM", Strength: 256, PostQuantum: true,
		BackupRetention: "unknown",
		Notes: []string{
			fmt.Sprintf("Keys were made in a PKCS#11 token and cannot be read out of it; it calls itself %s %s, serial number %s, firmware %d.%d.", manufacturer, model, serial, info.FirmwareVersion.Major, info.FirmwareVersion.Minor),
			"Backups and clones of the token are unknown to this keeper and bring a destroyed key back.",
		},
	}
	if k.copyable {
		p.Notes = append(p.Notes, "The token does not know how to forbid copies within it: whoever had its PIN may have made one of a key under another label.")
	}
	if isSoftHSM(info) {
		p.Notes = append(p.Notes, "SoftHSM is no hardware: its keys lie in files of the machine that runs aivault.")
		p.KeyThroughHost = true
	}
	return p
}

// Profile says what the token says of itself.
func (k *Keeper) Profile(ctx context.Context) (custody.Profile, error) {
	p := k.profile
	p.Notes = append([]string{}, p.Notes...)
	return p, ctx.Err()
}
