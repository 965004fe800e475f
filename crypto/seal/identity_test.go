package seal_test

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/aivault/aivault/crypto/redact/redacttest"
	"github.com/aivault/aivault/crypto/seal"
)

func TestIdentityIsSpelledAsAgeSpellsIt(t *testing.T) {
	for range 32 {
		theirs, err := age.GenerateHybridIdentity()
		if err != nil {
			t.Fatal(err)
		}
		ours, err := seal.ParseIdentity(theirs.String())
		if err != nil {
			t.Fatal(err)
		}
		if ours.Reveal() != theirs.String() {
			t.Error("Reveal differs from age's spelling")
		}
		if ours.Recipient().String() != theirs.Recipient().String() {
			t.Error("Recipient differs from age's")
		}
		again, err := seal.IdentityFromSeed(ours.RevealSeed())
		if err != nil || again.Reveal() != theirs.String() {
			t.Errorf("the seed gives another identity: %v", err)
		}
	}
}

// Bytes that reveal where a seed's bits lie.
func TestIdentityFromKnownSeeds(t *testing.T) {
	for _, fill := range []byte{0x00, 0xff, 0x01, 0x80, 0x55} {
		seed := bytes.Repeat([]byte{fill}, seal.SeedSize)
		id, err := seal.IdentityFromSeed(seed)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := age.ParseHybridIdentity(id.Reveal())
		if err != nil || theirs.String() != id.Reveal() {
			t.Errorf("seed of %#x: age reads another identity: %v", fill, err)
		}
		again, err := seal.ParseIdentity(id.Reveal())
		if err != nil || !bytes.Equal(again.RevealSeed(), seed) {
			t.Errorf("seed of %#x comes back as another: %v", fill, err)
		}
	}
}

func TestRevealSeedIsACopy(t *testing.T) {
	id := newIdentity(t)
	before := id.Reveal()
	clear(id.RevealSeed())
	if id.Reveal() != before {
		t.Error("a caller can change an identity")
	}
	seed := id.RevealSeed()
	other, err := seal.IdentityFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	clear(seed)
	if other.Reveal() != before {
		t.Error("a caller can change an identity through the seed it gave")
	}
}

func TestIdentityFromSeedRefusesOtherLengths(t *testing.T) {
	for _, n := range []int{0, 1, 31, 33, 64} {
		if _, err := seal.IdentityFromSeed(make([]byte, n)); err == nil {
			t.Errorf("a seed of %d bytes was accepted", n)
		}
	}
}

func TestIdentityDoesNotPrint(t *testing.T) {
	id := newIdentity(t)
	text := []byte(strings.TrimPrefix(id.Reveal(), "AGE-SECRET-KEY-PQ-1"))
	if err := redacttest.Check(id, id.RevealSeed(), text, bytes.ToLower(text)); err != nil {
		t.Error(err)
	}
}

// respellings returns texts that look like s, which is all upper or all lower
// case, and are not s.
func respellings(s string) map[string]string {
	upper, lower := strings.ToUpper(s), strings.ToLower(s)
	other := upper
	if s == upper {
		other = lower
	}
	return map[string]string{
		"empty":              "",
		"other case":         other,
		"mixed case":         lower[:len(s)-8] + upper[len(s)-8:],
		"space before":       " " + s,
		"newline after":      s + "\n",
		"short":              s[:len(s)-1],
		"doubled":            s + s,
		"prefix alone":       s[:strings.LastIndex(s, "1")+1],
		"other prefix":       "x" + s[1:],
		"changed checksum":   respell(s, len(s)-1),
		"changed first bits": respell(s, 30),
		"outside charset":    s[:len(s)-10] + "b" + s[len(s)-9:],
		"not ASCII":          s[:len(s)-10] + "ſ" + s[len(s)-8:],
	}
}

// respell changes the character at i to another one of Bech32.
func respell(s string, i int) string {
	for _, c := range []string{"q", "p"} {
		if s == strings.ToUpper(s) {
			c = strings.ToUpper(c)
		}
		if s[i:i+1] != c {
			return s[:i] + c + s[i+1:]
		}
	}
	return s
}

func TestParseIdentityRefusesOtherSpellings(t *testing.T) {
	id := newIdentity(t)
	cases := respellings(id.Reveal())
	cases["recipient"] = id.Recipient().String()
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	cases["X25519 identity"] = classic.String()
	for name, s := range cases {
		_, err := seal.ParseIdentity(s)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if len(s) > 60 && strings.Contains(err.Error(), s[30:50]) {
			t.Errorf("%s: the error quotes it: %v", name, err)
		}
	}
}

func TestParseRecipient(t *testing.T) {
	id := newIdentity(t)
	s := id.Recipient().String()
	if len(s) != 1959 || !strings.HasPrefix(s, "age1pq1") {
		t.Fatalf("%d characters, %.10s", len(s), s)
	}
	r, err := seal.ParseRecipient(s)
	if err != nil {
		t.Fatal(err)
	}
	if r.String() != s || !r.Equal(id.Recipient()) || !id.Recipient().Equal(r) {
		t.Error("a parsed recipient is another")
	}
	if r.Equal(newIdentity(t).Recipient()) {
		t.Error("two recipients are equal")
	}
	cases := respellings(s)
	cases["identity"] = id.Reveal()
	cases["long identity"] = (id.Reveal() + strings.Repeat("q", 1959))[:1959]
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	cases["X25519 recipient"] = classic.Recipient().String()
	for name, s := range cases {
		_, err := seal.ParseRecipient(s)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if len(s) > 60 && strings.Contains(err.Error(), s[30:50]) {
			t.Errorf("%s: the error quotes it: %v", name, err)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	id := newIdentity(f)
	f.Add(id.Reveal())
	for _, s := range respellings(id.Reveal()) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		theirs, theirErr := age.ParseHybridIdentity(s)
		ours, err := seal.ParseIdentity(s)
		if wanted := theirErr == nil && theirs.String() == s; wanted != (err == nil) {
			t.Fatalf("parsed: %v; age: %v", err, theirErr)
		}
		if err == nil && ours.Reveal() != s {
			t.Fatal("another spelling was accepted")
		}
	})
}

func FuzzParseRecipient(f *testing.F) {
	s := newIdentity(f).Recipient().String()
	f.Add(s)
	for _, s := range respellings(s) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		theirs, theirErr := age.ParseHybridRecipient(s)
		ours, err := seal.ParseRecipient(s)
		if wanted := theirErr == nil && theirs.String() == s; wanted != (err == nil) {
			t.Fatalf("parsed: %v; age: %v", err, theirErr)
		}
		if err == nil && ours.String() != s {
			t.Fatal("another spelling was accepted")
		}
	})
}
