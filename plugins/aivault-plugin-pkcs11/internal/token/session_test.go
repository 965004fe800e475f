//go:build linux && cgo

package token

import (
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/integration/servers"
)

// TestSessionsLost: a token that ends all sessions, and with them the login, is
// logged in to again. Without a login it would find no key, and say so.
func TestSessionsLost(t *testing.T) {
	h := servers.SoftHSM(t, "sessions")
	for _, kv := range h.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	k, err := Open(t.Context(), Options{URI: h.URI(), Lookup: func(string) (string, bool) { return h.PIN, true }, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	ref, err := k.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for what, end := range map[string]func() error{
		"sessions": func() error { return k.module.CloseAllSessions(k.slot) },
		"login":    func() error { return k.with(t.Context(), func(s session) error { return k.module.Logout(s.handle) }) },
	} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		sealed, err := k.Wrap(t.Context(), ref, [32]byte{}, []byte("secret"))
		if err != nil {
			t.Errorf("after the end of %s: %v", what, err)
			continue
		}
		if plain, err := k.Unwrap(t.Context(), ref, [32]byte{}, sealed); err != nil || string(plain) != "secret" {
			t.Errorf("after the end of %s: %q, %v", what, plain, err)
		}
	}
}
