package manifest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/redact/redacttest"
)

func TestSecretDoesNotPrint(t *testing.T) {
	s := NewSecret()
	b := s.Reveal()
	if err := redacttest.Check(&s, b[:]); err != nil {
		t.Error(err)
	}
}

func TestDocumentsDoNotPrintSecrets(t *testing.T) {
	s := NewSecret()
	b := s.Reveal()
	c := Chunk{Seed: s}
	root := &Root{Salt: s, Cut: s, Parts: []Ref{{Chunk: c}}}
	for _, v := range []any{c, &c, root, *root, &Part{Chunks: []Chunk{c}}, Piece{Chunk: &c}} {
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, printed := range []string{fmt.Sprintf("%v", v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%x", v), string(encoded)} {
			if strings.Contains(printed, hex.EncodeToString(b[:8])) || strings.Contains(printed, strings.Trim(fmt.Sprint(b[:8]), "[]")) {
				t.Errorf("%T prints its secrets: %s", v, printed)
			}
		}
	}
}

func TestSecretEqual(t *testing.T) {
	s := NewSecret()
	if !s.Equal(SecretFrom(s.Reveal())) || s.Equal(NewSecret()) || s.IsZero() || !(Secret{}).IsZero() {
		t.Error("equality of secrets")
	}
}

func TestSecretTextQuotesNothing(t *testing.T) {
	for _, text := range []string{"", "5ec2e7", strings.Repeat("5EC2E7AA", 8), strings.Repeat("5ec2e7z!", 8)} {
		var s secretText
		err := s.UnmarshalText([]byte(text))
		if err == nil {
			t.Fatalf("%q was accepted", text)
		}
		if msg := fmt.Sprintf("%v %+v", err, err); strings.Contains(strings.ToLower(msg), "5ec2e7") {
			t.Errorf("the error quotes the secret: %s", msg)
		}
	}
}
