package vault

import (
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
)

// Ref names a version of an artefact in one of four ways. With none of them it
// means the artefact's default channel.
type Ref struct {
	Artefact string
	Number   int              // "@v7"; 0: not given
	Digest   canonical.Digest // "@sha256:…"
	Latest   bool             // "@latest"
	Channel  string           // ":prod"
}

// String returns the reference as people type it.
func (r Ref) String() string {
	switch {
	case r.Number > 0:
		return fmt.Sprintf("%s@v%d", r.Artefact, r.Number)
	case !r.Digest.IsZero():
		return fmt.Sprintf("%s@sha256:%s", r.Artefact, r.Digest)
	case r.Latest:
		return r.Artefact + "@latest"
	case r.Channel != "":
		return r.Artefact + ":" + r.Channel
	}
	return r.Artefact
}
