package redact_test

import (
	"testing"

	"github.com/aivault/aivault/crypto/redact"
	"github.com/aivault/aivault/crypto/redact/redacttest"
)

var secret = []byte("\x01\x9bthe secret that must not show\xfe")

type closed struct {
	redact.Secret
	open func() []byte
}

func TestClosedSecretDoesNotPrint(t *testing.T) {
	s := &closed{open: func() []byte { return secret }}
	if err := redacttest.Check(s, secret); err != nil {
		t.Error(err)
	}
}

// The check itself must see what each half of the protection is for.
func TestCheckSeesLeaks(t *testing.T) {
	type bare struct{ Bytes []byte }
	if redacttest.Check(&bare{secret}, secret) == nil {
		t.Error("no leak seen in an unprotected type")
	}
	type open struct {
		redact.Secret
		bytes []byte
	}
	if redacttest.Check(&open{bytes: secret}, secret) == nil {
		t.Error("no leak seen in a type whose bytes stand in a field")
	}
	type silent struct{ open func() []byte }
	if redacttest.Check(&silent{open: func() []byte { return secret }}, secret) == nil {
		t.Error("a type that prints an address was accepted")
	}
	if redacttest.Check(&closed{}, secret[:7]) == nil {
		t.Error("a secret too short to look for was accepted")
	}
}

// Each method by itself: some printers look for one and not for another.
func TestEveryMethodSaysTheSame(t *testing.T) {
	var s redact.Secret
	inJSON, err := s.MarshalJSON()
	if err != nil || string(inJSON) != `"`+redact.Text+`"` {
		t.Errorf("MarshalJSON = %s, %v", inJSON, err)
	}
	inText, err := s.MarshalText()
	if err != nil || string(inText) != redact.Text {
		t.Errorf("MarshalText = %s, %v", inText, err)
	}
	for _, got := range []string{s.String(), s.GoString(), s.LogValue().String()} {
		if got != redact.Text {
			t.Errorf("a method says %q", got)
		}
	}
}
