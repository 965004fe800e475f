//go:build linux && cgo

package token_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/plugins/aivault-plugin-pkcs11/internal/token"
)

// openIn opens the keeper of a token in this process, whose library reads its
// environment.
func openIn(t *testing.T, h *servers.HSM) (*token.Keeper, error) {
	t.Helper()
	k, err := token.Open(t.Context(), token.Options{URI: h.URI(), Lookup: os.LookupEnv, Now: time.Now})
	if err == nil {
		t.Cleanup(func() {
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return k, err
}

func newHSM(t *testing.T) *servers.HSM {
	t.Helper()
	h := servers.SoftHSM(t, "aivault")
	for _, kv := range h.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	return h
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestSoftHSM holds the keeper to its contract, and then to what a tool that is
// not ours finds in the token.
func TestSoftHSM(t *testing.T) {
	h := newHSM(t)
	k := must(openIn(t, h))(t)
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		return k, func() (custody.Keeper, error) { return openIn(t, h) }
	})
	if keys := h.Keys(t); len(keys) > 0 {
		t.Errorf("pkcs11-tool finds keys that were destroyed: %v", keys)
	}
	ref := must(k.Create(t.Context(), "shown"))(t)
	out := must(h.Tool(t, "--list-objects", "--type", "secrkey"))(t)
	for _, want := range []string{"aivault:shown", "AES length 32", "sensitive", "always sensitive", "never extractable", "local"} {
		if !strings.Contains(out, want) {
			t.Errorf("pkcs11-tool does not say %q of the key:\n%s", want, out)
		}
	}
	must(k.Destroy(t.Context(), ref))(t)
	if keys := h.Keys(t); len(keys) > 0 || !slices.Contains(h.Data(t), "aivault:shown") {
		t.Errorf("after the end pkcs11-tool finds the keys %v and the data objects %v", keys, h.Data(t))
	}
}

// TestForeignKeys: a key that was brought into the token, or may leave it, is
// not used, whoever gave it our label; and it dies with the label.
func TestForeignKeys(t *testing.T) {
	h := newHSM(t)
	k := must(openIn(t, h))(t)
	ctx := t.Context()
	must(h.Tool(t, "--keygen", "--key-type", "AES:32", "--label", "aivault:planted", "--id", "00112233445566778899aabbccddeeff", "--extractable"))(t)
	if _, err := k.Create(ctx, "planted"); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("create beside an extractable key: %v", err)
	}
	if s, err := k.Status(ctx, "pkcs11-planted"); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("its status: %+v, %v", s, err)
	}
	must(k.Destroy(ctx, "pkcs11-planted"))(t)
	if keys := h.Keys(t); len(keys) > 0 {
		t.Errorf("left: %v", keys)
	}
}

// TestInterrupted: a crash between the death's record and the end of the keys
// leaves a key that serves nobody, is pending, and dies when asked again. So does
// one whose making was slower than the label's death.
func TestInterrupted(t *testing.T) {
	h := newHSM(t)
	k := must(openIn(t, h))(t)
	ctx := t.Context()
	ref := must(k.Create(ctx, "late"))(t)
	sealed := must(k.Wrap(ctx, ref, [32]byte{}, []byte("secret")))(t)
	first := must(k.Destroy(ctx, ref))(t)
	must(h.Tool(t, "--keygen", "--key-type", "AES:32", "--label", "aivault:late", "--id", "00112233445566778899aabbccddeeff", "--sensitive"))(t)
	if s, err := k.Status(ctx, ref); err != nil || s.State != custody.Pending {
		t.Errorf("status: %+v, %v", s, err)
	}
	if _, err := k.Unwrap(ctx, ref, [32]byte{}, sealed); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap: %v", err)
	}
	if _, err := k.Create(ctx, "late"); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("create: %v", err)
	}
	again := must(k.Destroy(ctx, ref))(t)
	if !again.At.Equal(first.At) || !bytes.Equal(again.Evidence, first.Evidence) || len(h.Keys(t)) > 0 {
		t.Errorf("destroyed %+v, then %+v; left %v", first, again, h.Keys(t))
	}
}

func TestRefused(t *testing.T) {
	h := newHSM(t)
	open := func(uri string, lookup func(string) (string, bool)) error {
		k, err := token.Open(t.Context(), token.Options{URI: uri, Lookup: lookup, Now: time.Now})
		if err == nil {
			k.Close()
		}
		return err
	}
	wrong := func(string) (string, bool) { return "wrong", true }
	for _, c := range []struct {
		what, uri string
		lookup    func(string) (string, bool)
		want      error
	}{
		{"wrong PIN", h.URI(), wrong, custody.ErrDenied},
		{"no PIN", h.URI(), func(string) (string, bool) { return "", false }, custody.ErrDenied},
		{"another token", strings.Replace(h.URI(), "token=aivault", "token=other", 1), os.LookupEnv, custody.ErrUnavailable},
		{"no library", "token=aivault?module-path=/nowhere.so&pin-source=env:HSM_PIN", os.LookupEnv, custody.ErrUnavailable},
		{"a URI of nothing", "", os.LookupEnv, custody.ErrInvalid},
	} {
		if err := open(c.uri, c.lookup); !errors.Is(err, c.want) || strings.Contains(err.Error(), h.PIN) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := token.Open(ctx, token.Options{URI: h.URI(), Lookup: os.LookupEnv, Now: time.Now}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
