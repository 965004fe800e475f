package identity

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/redact/redacttest"
	"github.com/aivault/aivault/crypto/seal"
)

func TestRevealAndParse(t *testing.T) {
	id := newIdentity(t)
	for name, text := range map[string][]byte{
		"as it is":              id.Reveal(),
		"no newline at the end": bytes.TrimSuffix(id.Reveal(), []byte("\n")),
		"newlines at the end":   append(id.Reveal(), "\n\n"...),
		"CR LF":                 bytes.ReplaceAll(id.Reveal(), []byte("\n"), []byte("\r\n")),
	} {
		parsed, err := Parse(text, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(parsed.Reveal(), id.Reveal()) {
			t.Errorf("%s: another identity", name)
		}
	}
}

// Both halves work after a round trip: what is sealed to the member opens, what
// the member signs verifies.
func TestBothKeysWork(t *testing.T) {
	id, err := Parse(newIdentity(t).Reveal(), nil)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ParsePublic(id.Public().String())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.Seal([]byte("x"), public.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.Open(sealed, id.Sealing()); err != nil || string(got) != "x" {
		t.Errorf("opened %q, %v", got, err)
	}
	e, err := dsse.Sign(context.Background(), "text/plain", []byte("x"), id.Signing())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Verify(public.Key); err != nil {
		t.Error(err)
	}
}

func TestParseRefuses(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	good := string(id.Reveal())
	lines := strings.SplitAfter(good, "\n")[:4]
	with := func(i int, line string) string {
		changed := slices.Clone(lines)
		changed[i] = line
		return strings.Join(changed, "")
	}
	otherLines := strings.SplitAfter(string(other.Reveal()), "\n")
	for name, text := range map[string]string{
		"empty":                     "",
		"newline":                   "\n",
		"bare age identity":         lines[3],
		"no first line":             strings.Join(lines[1:], ""),
		"version 2":                 with(0, "# aivault identity 2\n"),
		"version 10":                with(0, "# aivault identity 10\n"),
		"no version":                with(0, "# aivault identity\n"),
		"empty version":             with(0, "# aivault identity \n"),
		"space after the version":   with(0, "# aivault identity 1 \n"),
		"upper case":                with(0, "# AIVAULT IDENTITY 1\n"),
		"byte order mark":           "\xef\xbb\xbf" + good,
		"leading newline":           "\n" + good,
		"blank line":                with(1, lines[1]+"\n"),
		"extra comment":             with(1, lines[1]+"# created: today\n"),
		"extra age identity":        good + otherLines[3],
		"no member":                 with(1, ""),
		"another's member line":     with(1, otherLines[1]),
		"no signing key":            with(2, ""),
		"another's signing key":     with(2, otherLines[2]),
		"signing key not base64":    with(2, "# aivault-signing-key: !\n"),
		"signing key empty":         with(2, "# aivault-signing-key: \n"),
		"signing key unpadded":      with(2, strings.TrimRight(lines[2], "=\n")+"A\n"),
		"signing key is public":     with(2, "# aivault-signing-key: "+base64.StdEncoding.EncodeToString(id.Public().Key.SPKI())+"\n"),
		"CR in the signing key":     with(2, lines[2][:40]+"\r"+lines[2][40:]),
		"lines swapped":             lines[0] + lines[2] + lines[1] + lines[3],
		"no age identity":           with(3, ""),
		"another's age identity":    with(3, otherLines[3]),
		"age identity in lower":     with(3, strings.ToLower(lines[3])),
		"age identity, then space":  with(3, strings.TrimSuffix(lines[3], "\n")+" \n"),
		"age identity, commented":   with(3, "# "+lines[3]),
		"X25519 identity":           with(3, "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n"),
		"NUL":                       good + "\x00",
		"CR alone":                  strings.ReplaceAll(good, "\n", "\r"),
		"too long":                  good + strings.Repeat("\n", MaxFile),
		"armor header and no more":  "-----BEGIN AGE ENCRYPTED FILE-----\n",
		"binary age file":           "age-encryption.org/v1\n-> scrypt x 18\n",
		"truncated in the last key": good[:len(good)-20],
	} {
		_, err := Parse([]byte(text), func() (string, error) { return "x", nil })
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
			continue
		}
		for _, secret := range []string{lines[2][25:45], lines[3][20:40]} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error quotes a secret: %v", name, err)
			}
		}
	}
}

func TestUnknownVersionIsNamed(t *testing.T) {
	text := bytes.Replace(newIdentity(t).Reveal(), []byte("identity 1\n"), []byte("identity 7\n"), 1)
	if _, err := Parse(text, nil); err == nil || !strings.Contains(err.Error(), "version \"7\"") {
		t.Errorf("%v", err)
	}
}

func TestIdentityDoesNotPrint(t *testing.T) {
	id := newIdentity(t)
	lines := bytes.Split(id.Reveal(), []byte("\n"))
	der := id.Signing().Reveal()
	scalar := der[bytes.Index(der, []byte{0x04, 0x20})+2:][:32]
	if err := redacttest.Check(id, id.Sealing().RevealSeed(), lines[3][len("AGE-SECRET-KEY-PQ-1"):], scalar, der, lines[2][len(signingPrefix):]); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	id := newIdentity(f)
	f.Add(id.Reveal())
	protected, err := id.protect("passphrase", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(protected)
	f.Add([]byte("# aivault identity 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// What is protected is age's to parse; here it would only cost time.
		if isProtected(b) && !bytes.Equal(b, protected) {
			return
		}
		id, err := Parse(b, func() (string, error) { return "passphrase", nil })
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrPassphrase) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		again, err := Parse(id.Reveal(), nil)
		if err != nil || !again.Public().Equal(id.Public()) {
			t.Fatalf("it does not come back: %v", err)
		}
	})
}

func newIdentity(tb testing.TB) *Identity {
	tb.Helper()
	id, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

func ExamplePublic() {
	id, err := New()
	if err != nil {
		panic(err)
	}
	line := id.Public().String()
	fmt.Println(line[:16], len(line), len(id.Public().Fingerprint()))
	// Output: aivault1:age1pq1 2091 39
}
