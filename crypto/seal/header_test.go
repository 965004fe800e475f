package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/aivault/aivault/crypto/seal"
)

// Positions in an object with one stanza.
const (
	introEnd   = len("age-encryption.org/v1\n")
	shareStart = introEnd + len("-> mlkem768x25519 ")
	shareEnd   = shareStart + 1494
	stanzaEnd  = introEnd + 1557
	macStart   = stanzaEnd + len("--- ")
	headerEnd  = 1627
)

// splice returns b with b[from:to] replaced.
func splice(b []byte, from, to int, with string) []byte {
	return slices.Concat(b[:from], []byte(with), b[to:])
}

// badHeaders returns what sealed, which has one stanza, might be made into and
// must be refused for, without a key.
func badHeaders(sealed []byte) map[string][]byte {
	stanza := string(sealed[introEnd:stanzaEnd])
	x25519 := "-> X25519 " + base64.RawStdEncoding.EncodeToString(make([]byte, 32)) + "\n" +
		base64.RawStdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	// The last character of a share carries four bits, that of a wrapped file
	// key and of a MAC two that must be zero.
	return map[string][]byte{
		"empty":                   nil,
		"other version":           bytes.Replace(sealed, []byte("/v1"), []byte("/v2"), 1),
		"intro alone":             sealed[:introEnd],
		"intro with CR":           splice(sealed, introEnd-1, introEnd, "\r\n"),
		"armored":                 append([]byte("-----BEGIN AGE ENCRYPTED FILE-----\n"), sealed...),
		"leading space":           append([]byte(" "), sealed...),
		"no stanza":               splice(sealed, introEnd, stanzaEnd, ""),
		"X25519 alone":            splice(sealed, introEnd, stanzaEnd, x25519),
		"X25519 before":           splice(sealed, introEnd, introEnd, x25519),
		"X25519 after":            splice(sealed, stanzaEnd, stanzaEnd, x25519),
		"grease before":           splice(sealed, introEnd, introEnd, "-> x-grease y\n\n"),
		"grease after":            splice(sealed, stanzaEnd, stanzaEnd, "-> x-grease y\n\n"),
		"scrypt":                  splice(sealed, introEnd, stanzaEnd, "-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n"+stanza[len(stanza)-44:]),
		"upper-case type":         bytes.Replace(sealed, []byte("mlkem"), []byte("MLKEM"), 1),
		"longer type":             bytes.Replace(sealed, []byte("x25519 "), []byte("x25519b "), 1),
		"second argument":         splice(sealed, shareEnd, shareEnd, " x"),
		"two spaces":              splice(sealed, shareStart, shareStart, " "),
		"no argument":             splice(sealed, shareStart-1, shareEnd, ""),
		"short share":             splice(sealed, shareStart, shareStart+4, ""),
		"long share":              splice(sealed, shareStart, shareStart, "AAAA"),
		"padded share":            splice(sealed, shareEnd-2, shareEnd, "=="),
		"newlines in share":       splice(sealed, shareStart+8, shareStart+10, "\n\n"),
		"newline in body":         splice(sealed, shareEnd+1, stanzaEnd-1, "\n"+strings.Repeat("A", 42)),
		"bad character in share":  splice(sealed, shareStart+9, shareStart+10, "-"),
		"share not canonical":     splice(sealed, shareEnd-1, shareEnd, "B"),
		"line end after share":    splice(sealed, shareEnd, shareEnd+1, " "),
		"empty body":              splice(sealed, shareEnd+1, stanzaEnd-1, ""),
		"short body":              splice(sealed, shareEnd+1, shareEnd+5, ""),
		"long body":               splice(sealed, shareEnd+1, shareEnd+1, "AAAA"),
		"two-line body":           splice(sealed, stanzaEnd, stanzaEnd, "AAAA\n"),
		"body not canonical":      splice(sealed, stanzaEnd-2, stanzaEnd-1, "B"),
		"body ends in CR":         splice(sealed, stanzaEnd-1, stanzaEnd, "\r\n"),
		"body ends in no newline": splice(sealed, stanzaEnd-1, stanzaEnd, " "),
		"no MAC":                  splice(sealed, stanzaEnd, headerEnd, ""),
		"short MAC":               splice(sealed, macStart, macStart+4, ""),
		"long MAC":                splice(sealed, macStart, macStart, "AAAA"),
		"MAC not canonical":       splice(sealed, headerEnd-2, headerEnd-1, "B"),
		"newline in MAC":          splice(sealed, macStart, headerEnd-1, "\n"+strings.Repeat("A", 42)),
		"no space before MAC":     splice(sealed, macStart-1, macStart, ""),
		"tab before MAC":          splice(sealed, macStart-1, macStart, "\t"),
		"space after MAC":         splice(sealed, headerEnd-1, headerEnd-1, " "),
		"no newline after MAC":    splice(sealed, headerEnd-1, headerEnd, " "),
		"four dashes":             splice(sealed, stanzaEnd, stanzaEnd, "-"),
		"too many stanzas":        manyStanzas(sealed, seal.MaxRecipients+1),
	}
}

// manyStanzas repeats the stanza of sealed. The MAC is then wrong.
func manyStanzas(sealed []byte, n int) []byte {
	return slices.Concat(sealed[:introEnd], bytes.Repeat(sealed[introEnd:stanzaEnd], n), sealed[stanzaEnd:])
}

func TestHeadersRefused(t *testing.T) {
	id := newIdentity(t)
	sealed := ageSeal(t, []byte("plaintext"), id)
	for name, b := range badHeaders(sealed) {
		if _, err := seal.CheckHeader(b); !errors.Is(err, seal.ErrFormat) {
			t.Errorf("%s: CheckHeader: %v, want ErrFormat", name, err)
		}
		if _, err := seal.Open(b, id); !errors.Is(err, seal.ErrFormat) {
			t.Errorf("%s: Open: %v, want ErrFormat", name, err)
		}
		if _, err := seal.OpenShared(b, id); !errors.Is(err, seal.ErrFormat) {
			t.Errorf("%s: OpenShared: %v, want ErrFormat", name, err)
		}
	}
}

func TestCheckHeaderAcceptsAsManyStanzasAsAge(t *testing.T) {
	sealed := manyStanzas(ageSeal(t, nil, newIdentity(t)), seal.MaxRecipients)
	h, err := seal.CheckHeader(sealed)
	if err != nil || h.Stanzas != seal.MaxRecipients || h.PayloadSize != 0 {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := age.ExtractHeader(bytes.NewReader(sealed)); err != nil {
		t.Errorf("age refuses as many: %v", err)
	}
	more := manyStanzas(sealed, seal.MaxRecipients+1)
	if _, err := age.ExtractHeader(bytes.NewReader(more)); err == nil {
		t.Error("age accepts more")
	}
}

// Every way to cut an object short is noticed without a key, but for those that
// leave another possible length.
func TestTruncatedHeaders(t *testing.T) {
	id := newIdentity(t)
	sealed := ageSeal(t, make([]byte, 10), id)
	for n := range sealed {
		_, err := seal.CheckHeader(sealed[:n])
		switch {
		case n < headerEnd && !errors.Is(err, seal.ErrFormat):
			t.Errorf("%d bytes: %v, want ErrFormat", n, err)
		case n >= headerEnd && n < headerEnd+32 && !errors.Is(err, seal.ErrCorrupt):
			t.Errorf("%d bytes: %v, want ErrCorrupt", n, err)
		case n >= headerEnd+32 && err != nil:
			t.Errorf("%d bytes: %v", n, err)
		}
		if _, err := seal.Open(sealed[:n], id); err == nil {
			t.Errorf("%d bytes were opened", n)
		}
	}
}

func TestPayloadSize(t *testing.T) {
	header := ageSeal(t, nil, newIdentity(t))[:headerEnd]
	const full = 64<<10 + 16
	for _, c := range []struct {
		payload int   // bytes after the nonce
		want    int64 // plaintext, or -1
	}{
		{0, -1}, {15, -1}, {16, 0}, {17, 1}, {full - 1, full - 17}, {full, full - 16},
		{full + 1, -1}, {full + 15, -1}, {full + 16, -1}, {full + 17, full - 16 + 1},
		{2 * full, 2 * (full - 16)}, {2*full + 16, -1}, {2*full + 17, 2*(full-16) + 1},
	} {
		h, err := seal.CheckHeader(append(bytes.Clone(header), make([]byte, 16+c.payload)...))
		if c.want < 0 && !errors.Is(err, seal.ErrCorrupt) {
			t.Errorf("payload of %d bytes: %+v, %v, want ErrCorrupt", c.payload, h, err)
		}
		if c.want >= 0 && (err != nil || h.PayloadSize != c.want) {
			t.Errorf("payload of %d bytes: %+v, %v, want %d", c.payload, h, err, c.want)
		}
	}
}

// stanzaThief is an identity that keeps the stanzas it is shown.
type stanzaThief struct{ stanzas []*age.Stanza }

func (s *stanzaThief) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	s.stanzas = stanzas
	return nil, age.ErrIncorrectIdentity
}

// ageAccepts says what CheckHeader should, by age's own parser: the header must
// parse, be its own re-encoding, and hold hybrid stanzas of the right sizes.
func ageAccepts(sealed []byte) error {
	header, err := age.ExtractHeader(bytes.NewReader(sealed))
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(sealed, header) {
		return errors.New("not in its one encoding")
	}
	var thief stanzaThief
	if _, err := age.DecryptHeader(header, &thief); !errors.Is(err, age.ErrIncorrectIdentity) {
		return err
	}
	for _, s := range thief.stanzas {
		if s.Type != "mlkem768x25519" || len(s.Args) != 1 || len(s.Body) != 32 {
			return fmt.Errorf("a %q stanza", s.Type)
		}
		if share, err := base64.RawStdEncoding.Strict().DecodeString(s.Args[0]); err != nil || len(share) != 1120 {
			return fmt.Errorf("a share of %d bytes: %v", len(share), err)
		}
	}
	return nil
}

func FuzzCheckHeader(f *testing.F) {
	a, b := newIdentity(f), newIdentity(f)
	f.Add(ageSeal(f, nil, a))
	f.Add(ageSeal(f, []byte("x"), a, b))
	for name, b := range badHeaders(ageSeal(f, []byte("plaintext"), a)) {
		if name != "too many stanzas" {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		h, err := seal.CheckHeader(sealed)
		want := ageAccepts(sealed)
		switch {
		case errors.Is(err, seal.ErrFormat):
			if want == nil {
				t.Fatalf("refused: %v", err)
			}
		case err != nil && !errors.Is(err, seal.ErrCorrupt):
			t.Fatalf("an error of no kind: %v", err)
		case want != nil:
			t.Fatalf("accepted, age says: %v", want)
		case err == nil && seal.SealedSize(h.PayloadSize, h.Stanzas) != int64(len(sealed)):
			t.Fatalf("%+v is not the size of %d bytes", h, len(sealed))
		}
	})
}
