package transit

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aivault/aivault/crypto/custody"
)

// Options says which engine to open, and as whom.
type Options struct {
	// Location is https://HOST[:PORT]/MOUNT, with the parameters namespace, auth
	// (token, approle or kubernetes), auth-path and role. Plain HTTP is for this
	// machine alone.
	Location string
	Login    Login
	CA       []byte           // certificates, PEM, that alone are trusted; empty: the system's
	Create   bool             // make the keeper if there is none
	Now      func() time.Time // this machine's clock
}

// Login is what proves who opens an engine.
type Login struct {
	Token            string // for auth=token
	RoleID, SecretID string // for auth=approle
	// JWT reads the token of the service account, for auth=kubernetes: it changes
	// while a process runs.
	JWT func() (string, error)
}

const (
	maxAnswer = 16 << 20 // bytes; a listing of keys is the longest
	shortWait = time.Second
)

var (
	// errRefused: the server understood and does not do it (400).
	errRefused = fmt.Errorf("%w: refused", custody.ErrUnavailable)
	// errAbsent: there is no such thing (404).
	errAbsent = fmt.Errorf("%w: not there", custody.ErrUnavailable)
)

// client speaks to one engine.
type client struct {
	http            *http.Client
	server, mount   string
	namespace       string
	auth, authMount string
	role            string
	login           Login
	now             func() time.Time

	mu      sync.Mutex
	token   string
	expires time.Time // of the token; zero: never
}

func newClient(o Options) (*client, error) {
	bad := func(format string, args ...any) (*client, error) {
		return nil, fmt.Errorf("%s; the location is https://HOST[:PORT]/MOUNT[?namespace=N&auth=token|approle|kubernetes&auth-path=P&role=R]: %w", fmt.Sprintf(format, args...), custody.ErrInvalid)
	}
	u, err := url.Parse(o.Location)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return bad("no URL of an engine")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback()) {
		return bad("the scheme is not https")
	}
	c := &client{server: u.Scheme + "://" + u.Host, mount: strings.Trim(u.Path, "/"), login: o.Login, now: o.Now, auth: "token"}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || c.mount == "" || c.mount != strings.Trim(u.EscapedPath(), "/") || strings.Contains("/"+c.mount+"/", "/../") {
		return bad("no path of an engine")
	}
	for name, values := range query {
		switch name {
		case "namespace":
			c.namespace = values[0]
		case "auth":
			c.auth = values[0]
		case "auth-path":
			c.authMount = strings.Trim(values[0], "/")
		case "role":
			c.role = values[0]
		default:
			return bad("unknown parameter %q", name)
		}
	}
	if c.authMount == "" {
		c.authMount = c.auth
	}
	switch {
	case c.auth == "token" && o.Login.Token == "":
		return nil, fmt.Errorf("no token: set VAULT_TOKEN: %w", custody.ErrDenied)
	case c.auth == "approle" && (o.Login.RoleID == "" || o.Login.SecretID == ""):
		return nil, fmt.Errorf("no AppRole: set VAULT_ROLE_ID and VAULT_SECRET_ID: %w", custody.ErrDenied)
	case c.auth == "kubernetes" && (o.Login.JWT == nil || c.role == ""):
		return bad("auth=kubernetes needs role=")
	case c.auth != "token" && c.auth != "approle" && c.auth != "kubernetes":
		return bad("unknown auth %q", c.auth)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CA) > 0 {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(o.CA) {
			return bad("the file of certificate authorities has none")
		}
	}
	// A redirect would carry the token elsewhere.
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// call makes a call of the engine, and puts the data of the answer into out. A
// token that the server does not take any more is fetched anew, once.
func (c *client) call(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	for again := false; ; again = true {
		token, err := c.authenticate(ctx, again)
		if err != nil {
			return nil, err
		}
		h, err := c.send(ctx, method, c.mount+"/"+path, token, in, &struct{ Data any }{out})
		if c.auth == "token" || again || !errors.Is(err, custody.ErrDenied) {
			return h, err
		}
	}
}

// authenticate returns a token, and logs in where there is none, or anew.
func (c *client) authenticate(ctx context.Context, anew bool) (string, error) {
	if c.auth == "token" {
		return c.login.Token, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" && !anew && (c.expires.IsZero() || c.now().Before(c.expires)) {
		return c.token, nil
	}
	body := map[string]any{"role_id": c.login.RoleID, "secret_id": c.login.SecretID}
	if c.auth == "kubernetes" {
		jwt, err := c.login.JWT()
		if err != nil {
			return "", fmt.Errorf("the service account's token: %w: %w", custody.ErrDenied, err)
		}
		body = map[string]any{"role": c.role, "jwt": strings.TrimSpace(jwt)}
	}
	var out struct {
		Auth struct {
			ClientToken   string `json:"client_token"`
			LeaseDuration int64  `json:"lease_duration"` // seconds
		}
	}
	_, err := c.send(ctx, http.MethodPost, "auth/"+c.authMount+"/login", "", body, &out)
	switch {
	case errors.Is(err, errRefused) || errors.Is(err, errAbsent):
		return "", fmt.Errorf("log in by %s: %w: %w", c.auth, custody.ErrDenied, err)
	case err != nil:
		return "", fmt.Errorf("log in by %s: %w", c.auth, err)
	case out.Auth.ClientToken == "":
		return "", fmt.Errorf("log in by %s: the server gives no token: %w", c.auth, custody.ErrUnavailable)
	}
	c.token, c.expires = out.Auth.ClientToken, time.Time{}
	if s := out.Auth.LeaseDuration; s > 0 {
		c.expires = c.now().Add(time.Duration(s) * time.Second * 9 / 10)
	}
	return c.token, nil
}

// send makes one request.
func (c *client) send(ctx context.Context, method, path, token string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.server+"/v1/"+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Vault-Request", "true")
	if token != "" {
		r.Header.Set("X-Vault-Token", token)
	}
	if c.namespace != "" {
		r.Header.Set("X-Vault-Namespace", c.namespace)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	defer clear(text)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if answer.StatusCode/100 != 2 {
		return nil, refusal(answer, text, c.now())
	}
	if len(text) == 0 || out == nil {
		return answer.Header, nil
	}
	if err := decode(text, out); err != nil || len(text) > maxAnswer {
		return nil, fmt.Errorf("the server's answer cannot be read: %w", custody.ErrUnavailable)
	}
	return answer.Header, nil
}

// unreachable drops what the HTTP client adds to an error.
func (c *client) unreachable(ctx context.Context, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return errors.Join(ctx.Err(), fmt.Errorf("%w: %s: %w", custody.ErrUnavailable, c.server, err))
}

// refusal is what a status means, with what the server says.
func refusal(answer *http.Response, text []byte, now time.Time) error {
	var said struct{ Errors []string }
	_ = decode(text, &said) // it need not say anything
	why := fmt.Errorf("the server answers %d: %s", answer.StatusCode, strings.Join(said.Errors, "; "))
	kind := custody.ErrUnavailable
	switch answer.StatusCode {
	case http.StatusBadRequest:
		kind = errRefused
	case http.StatusUnauthorized, http.StatusForbidden:
		kind = custody.ErrDenied
	case http.StatusNotFound:
		kind = errAbsent
	case http.StatusTooManyRequests:
		return &custody.RateLimit{RetryAfter: retryAfter(answer.Header, now), Err: why}
	}
	return fmt.Errorf("%w: %w", kind, why)
}

// retryAfter reads how long to wait: seconds, a date, or when the quota is full
// again.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After", "X-Ratelimit-Reset"} {
		text := h.Get(name)
		if n, err := strconv.ParseUint(text, 10, 20); err == nil && n > 0 {
			return time.Duration(n) * time.Second
		}
		if at, err := http.ParseTime(text); err == nil && at.After(now) {
			return at.Sub(now)
		}
	}
	return shortWait
}

func decode(text []byte, out any) error { return json.Unmarshal(text, out) }

// key is what transit tells of one.
type key struct {
	Type                 string
	Derived, Exportable  bool
	AllowPlaintextBackup bool                       `json:"allow_plaintext_backup"`
	Keys                 map[string]json.RawMessage // by version: a Unix time, or an object of a signing key
}

// created is when the first version was made.
func (k key) created() (time.Time, error) {
	var seconds int64
	if err := decode(k.Keys["1"], &seconds); err != nil || seconds <= 0 {
		return time.Time{}, fmt.Errorf("the server does not tell when a key was made: %w", custody.ErrCorrupt)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// look reads what there is of a name.
func (k *Keeper) look(ctx context.Context, name string) (a key, there bool, err error) {
	_, err = k.c.call(ctx, http.MethodGet, "keys/"+name, nil, &a)
	if errors.Is(err, errAbsent) {
		return a, false, nil
	}
	return a, err == nil, err
}
