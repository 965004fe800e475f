package canonical

import (
	"errors"
	"testing"
)

type sample struct {
	Name string `json:"name"`
	N    uint64 `json:"n"`
	Sub  []sub  `json:"sub,omitempty"`
}
type sub struct {
	Hash []byte `json:"hash"`
}

func TestRoundTrip(t *testing.T) {
	in := sample{Name: "a<b>&é\u2028\x01\"\\", N: 1<<63 + 7, Sub: []sub{{Hash: []byte{0, 255}}}}
	b, err := Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out sample
	if err := Unmarshal(b, &out); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if out.Name != in.Name || out.N != in.N || string(out.Sub[0].Hash) != string(in.Sub[0].Hash) {
		t.Fatalf("got %+v, want %+v", out, in)
	}
}

func TestRefusesEveryOtherSpelling(t *testing.T) {
	var v sample
	if err := Unmarshal([]byte(`{"name":"x","n":1}`), &v); err != nil {
		t.Fatalf("the canonical spelling: %v", err)
	}
	for name, in := range map[string]string{
		"unknown field":    `{"name":"x","n":1,"m":2}`,
		"other case":       `{"Name":"x","n":1}`,
		"duplicate":        `{"name":"y","name":"x","n":1}`,
		"reordered":        `{"n":1,"name":"x"}`,
		"white space":      `{"name": "x","n":1}`,
		"trailing newline": "{\"name\":\"x\",\"n\":1}\n",
		"trailing value":   `{"name":"x","n":1}{}`,
		"missing field":    `{"name":"x"}`,
		"other escape":     `{"name":"\u0078","n":1}`,
		"exponent":         `{"name":"x","n":1e0}`,
		"negative":         `{"name":"x","n":-1}`,
		"empty optional":   `{"name":"x","n":1,"sub":[]}`,
		"null":             `null`,
		"bad UTF-8":        "{\"name\":\"\xff\",\"n\":1}",
		"base64 bits":      `{"name":"x","n":1,"sub":[{"hash":"AB=="}]}`,
		"empty":            ``,
	} {
		var v sample
		if err := Unmarshal([]byte(in), &v); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: accepted %q (%v)", name, in, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"name":"x","n":1}`))
	f.Add([]byte(`{"name":"\u2028","n":1,"sub":[{"hash":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v sample
		if Unmarshal(b, &v) != nil {
			return
		}
		again, err := Marshal(v)
		if err != nil || string(again) != string(b) {
			t.Fatalf("accepted %q but encodes as %q (%v)", b, again, err)
		}
	})
}
