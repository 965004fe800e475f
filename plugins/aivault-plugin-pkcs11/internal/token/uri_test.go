package token

import (
	"errors"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/internal/setting"
)

func TestParseURI(t *testing.T) {
	for text, want := range map[string]uri{
		"token=a?module-path=/l.so&pin-source=env:PIN":                        {token: "a", module: "/l.so", pin: setting.Secret{Variable: "PIN"}},
		"pkcs11:token=My%20token;serial=1f?module-path=/l.so&pin-source=/pin": {token: "My token", serial: "1f", module: "/l.so", pin: setting.Secret{File: "/pin"}},
		"serial=1;manufacturer=m;model=x?pin-source=file:/pin&module-path=/l": {serial: "1", manufacturer: "m", model: "x", module: "/l", pin: setting.Secret{File: "/pin"}},
		"serial=1?pin-source=file:///pin&module-path=/l":                      {serial: "1", module: "/l", pin: setting.Secret{File: "/pin"}},
	} {
		if got, err := parseURI(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	if got, err := parseURI("slot-id=7?module-path=/l&pin-source=env:P"); err != nil || got.slot == nil || *got.slot != 7 {
		t.Errorf("slot: got %+v, %v", got, err)
	}
	for _, text := range []string{
		"", "token=a", "token=a?module-path=l.so&pin-source=env:P", "token=a?module-path=/l", "?module-path=/l&pin-source=env:P", "token=?module-path=/l&pin-source=env:P",
		"token=a;token=b?module-path=/l&pin-source=env:P", "token=a;object=b?module-path=/l&pin-source=env:P", "token=a?module-path=/l&pin-value=secret",
		"token=a?module-path=/l&pin-source=env:P&pin-value=secret", "token=a?module-path=/l&pin-source=|secret", "token=a?module-path=/l&pin-source=secret",
		"token=%zz?module-path=/l&pin-source=env:P", "token=%00?module-path=/l&pin-source=env:P", "slot-id=x?module-path=/l&pin-source=env:P", "manufacturer=m?module-path=/l&pin-source=env:P",
	} {
		if u, err := parseURI(text); !errors.Is(err, custody.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %+v, %v", text, u, err)
		}
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=My%20token;slot-id=1?module-path=/l.so&pin-source=file:/pin")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseURI(text)
		switch {
		case err != nil && !errors.Is(err, custody.ErrInvalid):
			t.Fatal(err)
		case err == nil && (u.module == "" || u.pin == (setting.Secret{}) || u.token == "" && u.serial == "" && u.slot == nil):
			t.Fatalf("%q reads as %+v", text, u)
		}
	})
}
