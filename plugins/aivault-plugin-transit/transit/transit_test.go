package transit_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-transit/transit"
	"github.com/aivault/aivault/plugins/aivault-plugin-transit/transittest"
)

// now is the clock of these tests; a test may move it.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newServer(t *testing.T) (*transittest.Server, string, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	s := transittest.New(c.now)
	s.AddToken("all")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL + "/" + transittest.Mount, c
}

func open(t *testing.T, c *clock, location string, l transit.Login) *transit.Keeper {
	t.Helper()
	k, err := transit.Open(t.Context(), transit.Options{Location: location, Login: l, Create: true, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// wrapped makes a key and a wrapping.
func wrapped(t *testing.T, k *transit.Keeper, label string) []byte {
	t.Helper()
	ref, err := k.Create(t.Context(), label)
	if err != nil {
		t.Fatal(err)
	}
	w, err := k.Wrap(t.Context(), ref, [32]byte{1}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func unwrap(t *testing.T, k *transit.Keeper, label string, w []byte) error {
	t.Helper()
	_, err := k.Unwrap(t.Context(), custody.KeyRef(label), [32]byte{1}, w)
	return err
}

func TestLocations(t *testing.T) {
	for _, text := range []string{
		"", "vault:8200", "http://vault.acme.net/transit", "https://vault.acme.net", "https://u:p@vault.acme.net/transit", "https://vault.acme.net/transit?auth=ldap",
		"https://vault.acme.net/transit?token=x", "https://vault.acme.net/transit?auth=kubernetes", "https://vault.acme.net/a/../transit", "https://vault.acme.net/a%2f..",
	} {
		_, err := transit.Open(t.Context(), transit.Options{Location: text, Login: transit.Login{Token: "all"}, Now: time.Now})
		if !errors.Is(err, custody.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"https://vault.acme.net/transit", "https://vault.acme.net/transit?auth=approle"} {
		if _, err := transit.Open(t.Context(), transit.Options{Location: text, Now: time.Now}); !errors.Is(err, custody.ErrDenied) {
			t.Errorf("%q without a login: %v", text, err)
		}
	}
}

func TestLogins(t *testing.T) {
	s, location, c := newServer(t)
	s.AddRole("ci", "s3cret")
	s.AddRole("aivault", "eyJ")
	s.Lease = time.Hour
	s.Namespace = "team"
	jwt := func() (string, error) { return "eyJ\n", nil }
	for query, l := range map[string]transit.Login{
		"auth=approle": {RoleID: "ci", SecretID: "s3cret"}, "auth=kubernetes&role=aivault": {JWT: jwt},
	} {
		before := s.Logins()
		k := open(t, c, location+"?namespace=team&"+query, l)
		w := wrapped(t, k, "e-"+query[5:9])
		if n := s.Logins() - before; n != 1 {
			t.Errorf("%s: %d logins", query, n)
		}
		c.Time = c.Add(2 * time.Hour) // the token has expired
		if err := unwrap(t, k, "e-"+query[5:9], w); err != nil {
			t.Errorf("%s: after the token's end: %v", query, err)
		}
		s.Revoke() // and without its knowing
		if err := unwrap(t, k, "e-"+query[5:9], w); err != nil {
			t.Errorf("%s: after its revocation: %v", query, err)
		}
		if n := s.Logins() - before; n != 3 {
			t.Errorf("%s: %d logins", query, n)
		}
	}
	for query, l := range map[string]transit.Login{
		"namespace=team&auth=approle": {RoleID: "ci", SecretID: "wrong"}, "namespace=team": {Token: "revoked"},
		"namespace=team&auth=kubernetes&role=aivault": {JWT: func() (string, error) { return "", errors.New("no such file") }},
	} {
		_, err := transit.Open(t.Context(), transit.Options{Location: location + "?" + query, Login: l, Create: true, Now: c.now})
		if !errors.Is(err, custody.ErrDenied) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestNoKeeper(t *testing.T) {
	_, location, c := newServer(t)
	_, err := transit.Open(t.Context(), transit.Options{Location: location, Login: transit.Login{Token: "all"}, Now: c.now})
	if !errors.Is(err, custody.ErrNoKeeper) {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	s, _, c := newServer(t)
	server := httptest.NewTLSServer(s)
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	o := transit.Options{Location: server.URL + "/transit", Login: transit.Login{Token: "all"}, Create: true, Now: c.now}
	if _, err := transit.Open(t.Context(), o); !errors.Is(err, custody.ErrUnavailable) {
		t.Errorf("with the system's authorities: %v", err)
	}
	o.CA = ca
	if _, err := transit.Open(t.Context(), o); err != nil {
		t.Errorf("with the server's: %v", err)
	}
	o.CA = []byte("none")
	if _, err := transit.Open(t.Context(), o); !errors.Is(err, custody.ErrInvalid) {
		t.Errorf("with none: %v", err)
	}
}

// A limit on reading is its own error, with a time.
func TestRateLimit(t *testing.T) {
	s, location, c := newServer(t)
	k := open(t, c, location, transit.Login{Token: "all"})
	w := wrapped(t, k, "e-1")
	s.Limit(1, 30*time.Second)
	if err := unwrap(t, k, "e-1", w); err != nil {
		t.Fatal(err)
	}
	err := unwrap(t, k, "e-1", w)
	var limit *custody.RateLimit
	if !errors.As(err, &limit) || limit.RetryAfter != 30*time.Second || !errors.Is(err, custody.ErrRateLimited) {
		t.Errorf("%v", err)
	}
}

// Who may not delete leaves the key alive or pending, never destroyed; whoever may
// finishes it.
func TestInterruptedDestruction(t *testing.T) {
	s, location, c := newServer(t)
	all := open(t, c, location, transit.Login{Token: "all"})
	for denied, state := range map[string]custody.KeyState{
		"POST keys/aivault.e-1.destroyed": custody.Alive, "POST keys/aivault.e-2.key/config": custody.Pending, "DELETE keys/": custody.Pending,
	} {
		label := "e-3"
		if _, rest, ok := strings.Cut(denied, "aivault."); ok {
			label, _, _ = strings.Cut(rest, ".")
		}
		w := wrapped(t, all, label)
		s.AddToken("some", denied)
		some := open(t, c, location, transit.Login{Token: "some"})
		if _, err := some.Destroy(t.Context(), custody.KeyRef(label)); !errors.Is(err, custody.ErrDenied) {
			t.Errorf("%s: %v", denied, err)
		}
		if got, err := all.Status(t.Context(), custody.KeyRef(label)); err != nil || got.State != state {
			t.Errorf("%s: %+v, %v", denied, got, err)
		}
		if err := unwrap(t, all, label, w); (state == custody.Alive) != (err == nil) || err != nil && !errors.Is(err, custody.ErrDestroyed) {
			t.Errorf("%s: unwrap: %v", denied, err)
		}
		d, err := all.Destroy(t.Context(), custody.KeyRef(label))
		if err != nil || d.State != custody.Destroyed {
			t.Errorf("%s: finished: %+v, %v", denied, d, err)
		}
		if slices.Contains(s.Keys(), "aivault."+label+".key") {
			t.Errorf("%s: the key is there", denied)
		}
	}
}

// Whatever somebody else's Destroy comes between, a key that was there is never one
// that never was.
func TestDestroyedMeanwhile(t *testing.T) {
	calls := map[string]func(k *transit.Keeper, ref custody.KeyRef, w []byte) error{
		"destroy": func(k *transit.Keeper, ref custody.KeyRef, _ []byte) error {
			_, err := k.Destroy(t.Context(), ref)
			return err
		},
		"status": func(k *transit.Keeper, ref custody.KeyRef, _ []byte) error {
			s, err := k.Status(t.Context(), ref)
			if err == nil && s.State == custody.Unknown {
				err = errors.New("unknown")
			}
			return err
		},
		"wrap": func(k *transit.Keeper, ref custody.KeyRef, _ []byte) error {
			_, err := k.Wrap(t.Context(), ref, [32]byte{1}, []byte("secret"))
			return err
		},
		"unwrap": func(k *transit.Keeper, ref custody.KeyRef, w []byte) error { return unwrap(t, k, string(ref), w) },
		"create": func(k *transit.Keeper, ref custody.KeyRef, _ []byte) error {
			_, err := k.Create(t.Context(), string(ref))
			return err
		},
	}
	for name, call := range calls {
		for after := range 7 {
			s, location, c := newServer(t)
			s.AddToken("slow")
			fast := open(t, c, location, transit.Login{Token: "all"})
			w := wrapped(t, fast, "e-1")
			n := -1 // requests of the slow one; -1: not counted yet
			between := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				s.ServeHTTP(rw, r)
				if n >= 0 {
					if n++; n == after+1 {
						if _, err := fast.Destroy(t.Context(), "e-1"); err != nil {
							t.Error(err)
						}
					}
				}
			}))
			slow := open(t, c, between.URL+"/"+transittest.Mount, transit.Login{Token: "slow"})
			n = 0
			if err := call(slow, "e-1", w); err != nil && !(errors.Is(err, custody.ErrDestroyed) && name != "destroy" && name != "status") {
				t.Errorf("%s, destroyed after request %d: %v", name, after+1, err)
			}
			if slices.Contains(s.Keys(), "aivault.e-1.key") && n > after {
				t.Errorf("%s, destroyed after request %d: the key is back", name, after+1)
			}
			between.Close()
		}
	}
}

// A key that comes back with a snapshot of the server is not used, and dies again.
func TestRestoredSnapshot(t *testing.T) {
	s, location, c := newServer(t)
	k := open(t, c, location, transit.Login{Token: "all"})
	w := wrapped(t, k, "e-1")
	restore := s.Snapshot()
	if _, err := k.Destroy(t.Context(), "e-1"); err != nil {
		t.Fatal(err)
	}
	restore()
	if err := unwrap(t, k, "e-1", w); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap: %v", err)
	}
	if got, err := k.Status(t.Context(), "e-1"); err != nil || got.State != custody.Pending {
		t.Errorf("status: %+v, %v", got, err)
	}
	if d, err := k.Destroy(t.Context(), "e-1"); err != nil || d.State != custody.Destroyed {
		t.Errorf("destroy: %+v, %v", d, err)
	}
	if got, err := k.Status(t.Context(), "e-1"); err != nil || got.State != custody.Destroyed {
		t.Errorf("status: %+v, %v", got, err)
	}
}

// Transit would encrypt with a key that it makes on the spot.
func TestWrapMakesNoKey(t *testing.T) {
	s, location, c := newServer(t)
	k := open(t, c, location, transit.Login{Token: "all"})
	if _, err := k.Wrap(t.Context(), "e-1", [32]byte{}, []byte("secret")); !errors.Is(err, custody.ErrNotFound) {
		t.Error(err)
	}
	if got := s.Keys(); len(got) != 1 {
		t.Errorf("keys %q", got)
	}
}

// A key that somebody else made under the name, and that can be taken out of the
// server, is none for a vault.
func TestUnfitKey(t *testing.T) {
	_, location, c := newServer(t)
	k := open(t, c, location, transit.Login{Token: "all"})
	for name, body := range map[string]string{
		"exportable": `{"exportable":true}`, "derived": `{"derived":true}`, "backup": `{"allow_plaintext_backup":true}`, "signing": `{"type":"ecdsa-p256"}`,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.TrimSuffix(location, transittest.Mount)+"v1/transit/keys/aivault."+name+".key", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Vault-Token", "all")
		answer, err := http.DefaultClient.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		answer.Body.Close()
		if _, err := k.Create(t.Context(), name); !errors.Is(err, custody.ErrUnfit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a server answers that is none of its documented answers.
func TestStrangeAnswers(t *testing.T) {
	for text, status := range map[string]int{
		"": 200, "{}": 200, "[": 200, `{"data":5}`: 200, `{"data":{"keys":{"1":5}}}`: 200, "sealed": 503, "<html>": 302, "x": 500,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}))
		_, err := transit.Open(t.Context(), transit.Options{Location: server.URL + "/transit", Login: transit.Login{Token: "all"}, Create: true, Now: time.Now})
		if !errors.Is(err, custody.ErrUnavailable) && !errors.Is(err, custody.ErrCorrupt) {
			t.Errorf("%d %q: %v", status, text, err)
		}
		server.Close()
	}
}
