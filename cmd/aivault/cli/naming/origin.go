package naming

import (
	"net/url"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// ParseSource reads the URL of material from outside. It stays on record, for all
// members to read: one with a password in it is refused.
func ParseSource(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" && u.Path == "":
		return "", invalid("%q is no URL", withoutUser(text))
	case u.User != nil:
		return "", invalid("%q: leave out the user and password, which would stay on record", u.Redacted())
	}
	return text, nil
}

// withoutUser cuts what may be a password from what is no URL.
func withoutUser(text string) string {
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		return "…" + text[i:]
	}
	return text
}

// ParseRelation reads REF or REF:ROLE. What follows the last colon is a role if it
// is the name of one, and else belongs to REF.
func ParseRelation(text string) (vaultName string, ref vault.Ref, role string, err error) {
	if i := strings.LastIndexByte(text, ':'); i >= 0 && slices.Contains(state.LineageRoles(), text[i+1:]) {
		text, role = text[:i], text[i+1:]
	}
	vaultName, ref, err = ParseRef(text)
	return vaultName, ref, role, err
}
