package naming

import (
	"strconv"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

const addressScheme = "aivault://"

// ParseRef reads a reference to a version: ARTEFACT, ARTEFACT@vN,
// ARTEFACT@sha256:DIGEST, ARTEFACT@latest or ARTEFACT:CHANNEL. In the form
// aivault://VAULT/… it names the vault too.
func ParseRef(text string) (vaultName string, ref vault.Ref, err error) {
	if rest, ok := strings.CutPrefix(text, addressScheme); ok {
		vaultName, text, ok = strings.Cut(rest, "/")
		if !ok || !IsName(vaultName) {
			return "", ref, invalid("an address has the form %sVAULT/ARTEFACT, where VAULT is a name that join gave", addressScheme)
		}
	}
	ref, err = parseRef(text)
	return vaultName, ref, err
}

func parseRef(text string) (ref vault.Ref, err error) {
	name, version, hasVersion := strings.Cut(text, "@")
	var hasChannel bool
	if !hasVersion {
		name, ref.Channel, hasChannel = strings.Cut(text, ":")
	}
	if err := state.CheckName(name); err != nil {
		return ref, invalid("%w", err)
	}
	ref.Artefact = name
	digest, hasDigest := strings.CutPrefix(version, "sha256:")
	switch {
	case hasChannel:
		if err := state.CheckShortName(ref.Channel); err != nil {
			return vault.Ref{}, invalid("channel: %w", err)
		}
	case version == "latest":
		ref.Latest = true
	case hasDigest:
		if ref.Digest, err = canonical.ParseDigest(digest); err != nil || ref.Digest.IsZero() {
			return vault.Ref{}, invalid("%q: a digest is sha256: and 64 lower-case hex digits", text)
		}
	case hasVersion:
		number, ok := strings.CutPrefix(version, "v")
		if ref.Number, err = strconv.Atoi(number); !ok || err != nil || ref.Number < 1 || strconv.Itoa(ref.Number) != number {
			return vault.Ref{}, invalid("%q: what follows @ is v and a number from 1, latest, or sha256:DIGEST", text)
		}
	}
	return ref, nil
}

// ParseArtefact reads the name of an artefact, alone or as aivault://VAULT/NAME.
func ParseArtefact(text string) (vaultName, name string, err error) {
	vaultName, ref, err := ParseRef(text)
	if err != nil {
		return "", "", err
	}
	if ref != (vault.Ref{Artefact: ref.Artefact}) {
		return "", "", invalid("%q names a version; the artefact alone is meant here: %s", text, ref.Artefact)
	}
	return vaultName, ref.Artefact, nil
}
