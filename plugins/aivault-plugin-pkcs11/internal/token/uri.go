// Package token is a keeper whose keys lie in a PKCS#11 token and never leave
// it. Of a label there are, in the token,
//
//   - key objects: AES-256 made by the token, CKA_SENSITIVE, not extractable, not
//     modifiable and, where the token knows that, not copyable; CKA_LABEL is
//     "aivault:" and the label, CKA_ID 6 bytes of time (milliseconds since 1970,
//     big-endian) and 10 at random;
//   - once it is dead, a data object of the same CKA_LABEL, CKA_APPLICATION
//     "aivault", whose value is the time of death (RFC 3339). It is made before the
//     keys are destroyed, and stays.
//
// A key's ref is "pkcs11-" and its label. PKCS#11 cannot make an object only if it
// is not there, so callers that race may make several keys for one label: a
// wrapping names the one it is under, and death is that of all of them.
//
// A wrapping is 0x01, the CKA_ID, 12 bytes of nonce, and AES-256-GCM (tag of 16
// bytes at the end) with "aivault-pkcs11/1", the CKA_ID and the context as
// associated data.
//
// A key that the token did not make itself, or that could have left it, is
// reported as damaged and not used. A call to the token's library cannot be
// broken off: contexts are asked between calls.
package token

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/internal/setting"
)

// uri is what a PKCS#11 URI says: which token, by which library, and where its
// PIN is.
type uri struct {
	token, serial, manufacturer, model string // "": any
	slot                               *uint  // nil: any
	module                             string // path of the token's library
	pin                                setting.Secret
}

// parseURI reads a URI of RFC 7512, with or without its scheme: attributes that
// say which token, module-path, and pin-source as file:PATH (or a path) or
// env:NAME, which is ours. What it does not know it refuses; a PIN in the URI as
// well, for a URI is shown and remembered. Errors are custody.ErrInvalid and
// repeat no values.
func parseURI(text string) (uri, error) {
	var u uri
	path, query, _ := strings.Cut(strings.TrimPrefix(text, "pkcs11:"), "?")
	set := map[string]*string{"token": &u.token, "serial": &u.serial, "manufacturer": &u.manufacturer, "model": &u.model, "slot-id": new(string)}
	if err := setting.Attributes(path, ";", set); err != nil {
		return u, err
	}
	if s := *set["slot-id"]; s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return u, bad("slot-id is no number")
		}
		slot := uint(n)
		u.slot = &slot
	}
	if u.token == "" && u.serial == "" && u.slot == nil {
		return u, bad("it says which token with token=LABEL, serial=… or slot-id=…")
	}
	if strings.Contains("&"+query, "&pin-value=") {
		return u, bad("pin-value would be shown and remembered: use pin-source")
	}
	var pin string
	if err := setting.Attributes(query, "&", map[string]*string{"module-path": &u.module, "pin-source": &pin}); err != nil {
		return u, err
	}
	if !filepath.IsAbs(u.module) {
		return u, bad("module-path is the absolute path of the token's library")
	}
	var err error
	u.pin, err = setting.ParseSecret("pin-source", pin)
	return u, err
}

func bad(format string, args ...any) error {
	return fmt.Errorf("the URI of the token: %s: %w", fmt.Sprintf(format, args...), custody.ErrInvalid)
}
