package identity

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
)

func answer(passphrase string) func() (string, error) {
	return func() (string, error) { return passphrase, nil }
}

func TestProtect(t *testing.T) {
	id := newIdentity(t)
	protected, err := id.protect("correct horse", 2)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(protected, []byte("AGE-SECRET-KEY")) || bytes.Contains(protected, []byte("aivault")) {
		t.Error("a protected file shows what it holds")
	}
	parsed, err := Parse(protected, answer("correct horse"))
	if err != nil || !bytes.Equal(parsed.Reveal(), id.Reveal()) {
		t.Errorf("another identity, or none: %v", err)
	}
	for name, ask := range map[string]func() (string, error){"wrong": answer("wrong"), "empty": answer(""), "none": nil} {
		if _, err := Parse(protected, ask); !errors.Is(err, ErrPassphrase) {
			t.Errorf("passphrase %s: %v, want ErrPassphrase", name, err)
		}
	}
	interrupted := errors.New("interrupted")
	if _, err := Parse(protected, func() (string, error) { return "", interrupted }); !errors.Is(err, interrupted) {
		t.Errorf("%v, want the error of who was asked", err)
	}
}

func TestPassphraseIsAskedForOnceAndOnlyIfNeeded(t *testing.T) {
	id := newIdentity(t)
	protected, err := id.protect("x", 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file []byte
		want int
	}{{id.Reveal(), 0}, {protected, 1}} {
		asked := 0
		if _, err := Parse(c.file, func() (string, error) { asked++; return "x", nil }); err != nil || asked != c.want {
			t.Errorf("asked %d times, want %d; %v", asked, c.want, err)
		}
	}
}

func TestProtectRefusesAnEmptyPassphrase(t *testing.T) {
	if _, err := newIdentity(t).Protect(""); err == nil {
		t.Error("protected by nothing")
	}
}

// The one test that pays for the real work factor.
func TestProtectWorkFactor(t *testing.T) {
	protected, err := newIdentity(t).Protect("x")
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(armor.NewReader(bytes.NewReader(protected)))
	if err != nil {
		t.Fatal(err)
	}
	stanza := strings.Split(string(file), "\n")[1]
	if !strings.HasPrefix(stanza, "-> scrypt ") || !strings.HasSuffix(stanza, " 18") {
		t.Errorf("stanza %q", stanza)
	}
	if len(protected) > MaxFile {
		t.Errorf("%d bytes, more than Parse takes", len(protected))
	}
}

func TestProtectedFilesRefused(t *testing.T) {
	id := newIdentity(t)
	protected, err := id.protect("x", 2)
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := age.ParseHybridRecipient(id.Public().Recipient.String())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(protected), "\n")
	damaged := func(i int) string {
		line := lines[i]
		return strings.Join(lines[:i], "\n") + "\n" + line[:9] + other(line[9]) + line[10:] + "\n" + strings.Join(lines[i+1:], "\n")
	}
	for name, c := range map[string]struct {
		file string
		want error
	}{
		"damaged payload":        {damaged(len(lines) - 10), ErrFormat},
		"damaged MAC":            {damaged(4), ErrFormat},
		"truncated":              {strings.Join(lines[:len(lines)-3], "\n"), ErrFormat},
		"trailing text":          {string(protected) + "x", ErrFormat},
		"not scrypt":             {armored(t, id.Reveal(), recipient), ErrFormat},
		"protected twice":        {armored(t, protected, scrypt(t, 2)), ErrFormat},
		"not an identity":        {armored(t, []byte("hello"), scrypt(t, 2)), ErrFormat},
		"an enormous factor":     {withFactor(t, 30), ErrFormat},
		"beyond the bound":       {withFactor(t, maxWorkFactor+1), ErrFormat},
		"within, wrong file key": {withFactor(t, 3), ErrPassphrase},
	} {
		if _, err := Parse([]byte(c.file), answer("x")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// other returns another base64 character than c.
func other(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func scrypt(t *testing.T, factor int) *age.ScryptRecipient {
	t.Helper()
	r, err := age.NewScryptRecipient("x")
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(factor)
	return r
}

// armored returns an armored age file.
func armored(t *testing.T, plaintext []byte, to age.Recipient) string {
	t.Helper()
	var b bytes.Buffer
	a := armor.NewWriter(&b)
	w, err := age.Encrypt(a, to)
	if err == nil {
		_, err = w.Write(plaintext)
	}
	if err = errors.Join(err, w.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// withFactor returns an armored age file that claims a work factor, as a hostile
// one may, without having paid for it.
func withFactor(t *testing.T, factor int) string {
	t.Helper()
	return armored(t, []byte("x"), claim(factor))
}

// claim is a recipient that writes a scrypt stanza of this work factor.
type claim int

func (c claim) Wrap([]byte) ([]*age.Stanza, error) {
	factor := string(rune('0'+c/10)) + string(rune('0'+c%10))
	salt := base64.RawStdEncoding.EncodeToString(make([]byte, 16))
	return []*age.Stanza{{Type: "scrypt", Args: []string{salt, strings.TrimLeft(factor, "0")}, Body: make([]byte, 32)}}, nil
}
