package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestPublicRoundTrip(t *testing.T) {
	public := newIdentity(t).Public()
	line := public.String()
	if strings.ContainsAny(line, " \t\r\n=+/") {
		t.Errorf("the line has characters that do not travel: %s", line)
	}
	parsed, err := ParsePublic(line)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.String() != line || !parsed.Equal(public) {
		t.Error("a parsed line is another")
	}
}

func TestPublicEqual(t *testing.T) {
	a, b := newIdentity(t).Public(), newIdentity(t).Public()
	for name, other := range map[string]Public{
		"another": b, "another key": {a.Recipient, b.Key}, "another recipient": {b.Recipient, a.Key},
	} {
		if a.Equal(other) {
			t.Errorf("%s is equal", name)
		}
		if a.Fingerprint() == other.Fingerprint() {
			t.Errorf("%s has the same fingerprint", name)
		}
	}
}

func TestFingerprint(t *testing.T) {
	public := newIdentity(t).Public()
	sum := sha256.Sum256([]byte(public.String()))
	got := public.Fingerprint()
	if strings.ReplaceAll(got, "-", "") != hex.EncodeToString(sum[:16]) || len(got) != 39 || strings.Count(got, "-") != 7 {
		t.Errorf("fingerprint %s of %x", got, sum)
	}
}

// badLines returns what a member's line might be made into and must be refused
// for.
func badLines(line string) map[string]string {
	parts := strings.Split(line, ":")
	recipient, key := parts[1], parts[2]
	return map[string]string{
		"empty":                "",
		"prefix alone":         "aivault1",
		"other version":        "aivault2:" + recipient + ":" + key,
		"upper-case prefix":    "AIVAULT1:" + recipient + ":" + key,
		"no recipient":         "aivault1::" + key,
		"no key":               "aivault1:" + recipient + ":",
		"two parts":            "aivault1:" + recipient,
		"four parts":           line + ":",
		"parts swapped":        "aivault1:" + key + ":" + recipient,
		"space before":         " " + line,
		"newline after":        line + "\n",
		"space inside":         "aivault1: " + recipient + ":" + key,
		"upper-case recipient": "aivault1:" + strings.ToUpper(recipient) + ":" + key,
		"short recipient":      "aivault1:" + recipient[:len(recipient)-1] + ":" + key,
		"changed recipient":    "aivault1:" + recipient[:99] + "b" + recipient[100:] + ":" + key,
		"padded key":           line + "==",
		"key with newline":     "aivault1:" + recipient + ":" + key[:9] + "\n" + key[9:],
		"key with spare bits":  line[:len(line)-1] + string(line[len(line)-1]+1),
		"key not base64":       "aivault1:" + recipient + ":!" + key[1:],
		"short key":            line[:len(line)-4],
		"key not a key":        "aivault1:" + recipient + ":" + strings.Repeat("A", len(key)),
	}
}

func TestParsePublicRefuses(t *testing.T) {
	for name, line := range badLines(newIdentity(t).Public().String()) {
		if _, err := ParsePublic(line); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

func FuzzParsePublic(f *testing.F) {
	line := newIdentity(f).Public().String()
	f.Add(line)
	for _, bad := range badLines(line) {
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, line string) {
		public, err := ParsePublic(line)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if public.String() != line {
			t.Fatal("two spellings of one line")
		}
	})
}
