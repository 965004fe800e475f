package setting

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/custody"
)

func TestAttributes(t *testing.T) {
	for text, want := range map[string]string{"a=1;b=x%20y": "1,x y", "": ",", ";a=1;": "1,", "b=c=d": ",c=d", "a=b:c/d?e&f": "b:c/d?e&f,"} {
		var a, b string
		if err := Attributes(text, ";", map[string]*string{"a": &a, "b": &b}); err != nil || a+","+b != want {
			t.Errorf("%q: %s,%s, %v", text, a, b, err)
		}
	}
	for _, text := range []string{"a", "a=", "c=secret", "a=1;a=secret", "a=%zzsecret", "a=secret%00"} {
		var a, b string
		if err := Attributes(text, ";", map[string]*string{"a": &a, "b": &b}); !errors.Is(err, custody.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"pin": "secret\r\n", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lookup := func(name string) (string, bool) { return "secret", name == "PIN" }
	for text, want := range map[string]error{
		"file:" + dir + "/pin": nil, "file://" + dir + "/pin": nil, dir + "/pin": nil, "env:PIN": nil,
		"env:OTHER": custody.ErrDenied, "file:" + dir + "/empty": custody.ErrDenied, "file:" + dir + "/none": custody.ErrDenied,
		"": custody.ErrInvalid, "secret": custody.ErrInvalid, "env:": custody.ErrInvalid, "file:relative": custody.ErrInvalid,
	} {
		s, err := ParseSecret("pin-source", text)
		var got string
		if err == nil {
			got, err = s.Read(lookup)
		}
		if !errors.Is(err, want) || err == nil && got != "secret" {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
