package keyfile

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
)

// fingerprintLength is that of a ref's second half: 128 bits in hex.
const fingerprintLength = 32

// A ref is LABEL "." FINGERPRINT, so that it names one key and not whatever
// stands under a label: the fingerprint is the beginning of the SHA-256 of the
// key's recipient as age writes it.
func refOf(label string, r *seal.Recipient) custody.KeyRef {
	sum := sha256.Sum256([]byte(r.String()))
	return custody.KeyRef(label + "." + hex.EncodeToString(sum[:])[:fingerprintLength])
}

// Label returns the label that a ref names. A ref of another form, which no
// keeper of this kind has issued, has none.
func Label(ref custody.KeyRef) (label string, ok bool) {
	label, fingerprint, ok := strings.Cut(string(ref), ".")
	if !ok || custody.CheckLabel(label) != nil || len(fingerprint) != fingerprintLength {
		return "", false
	}
	for i := range len(fingerprint) {
		if c := fingerprint[i]; (c < 'a' || c > 'f') && (c < '0' || c > '9') {
			return "", false
		}
	}
	return label, true
}
