// Package transittest is a double of the transit engine of HashiCorp Vault and
// OpenBao, and of the logins that package transit uses, made from the API's
// documentation: it refuses what the documentation says that the server refuses,
// and has its traps. It is no proof that the plugin works with either.
package transittest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Mount is where the engine is.
const Mount = "transit"

// Server is a server with one engine, in memory.
type Server struct {
	// Namespace, if any, has to stand in each request.
	Namespace string
	// Lease is how long a token from a login lives; 0: for ever.
	Lease time.Duration
	now   func() time.Time

	mu     sync.Mutex
	keys   map[string]*engineKey
	tokens map[string]token
	roles  map[string]string // secrets by AppRole id, service tokens by Kubernetes role
	left   int               // calls of decrypt until the quota is used up; negative: no quota
	wait   time.Duration     // until it is full again
	logins int
}

type engineKey struct {
	kind                                      string
	created                                   time.Time
	derived, exportable, backup, mayBeDeleted bool
	secret                                    [32]byte
	public                                    string
}

type token struct {
	denied  []string // path prefixes below the mount, with a method before them
	expires time.Time
}

// New returns an empty server.
func New(now func() time.Time) *Server {
	return &Server{now: now, keys: map[string]*engineKey{}, tokens: map[string]token{}, roles: map[string]string{}, left: -1}
}

// AddToken makes a token that may do everything but what is denied, such as
// "DELETE keys/" or "POST decrypt/".
func (s *Server) AddToken(name string, denied ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[name] = token{denied: denied}
}

// AddRole lets a role log in: an AppRole with its secret, a role of Kubernetes with
// the token of its service account.
func (s *Server) AddRole(id, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[id] = secret
}

// Revoke makes every token invalid.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Logins returns how many logins succeeded.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// Limit sets a quota on decrypting: n calls, and then none for wait.
func (s *Server) Limit(n int, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.wait = n, wait
}

// Keys returns the names of all keys, sorted.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names()
}

// Snapshot returns a copy of all keys, as a snapshot of the server's storage has
// them; Restore brings it back.
func (s *Server) Snapshot() (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := map[string]*engineKey{}
	for name, k := range s.keys {
		c := *k
		saved[name] = &c
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for name, k := range saved {
			s.keys[name] = k
		}
	}
}

func (s *Server) names() []string {
	out := []string{}
	for name := range s.keys {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// answer is one to a request.
type answer struct {
	status int
	body   any
	header map[string]string
}

func refuse(status int, format string, args ...any) answer {
	return answer{status: status, body: map[string]any{"errors": []string{fmt.Sprintf(format, args...)}}}
}

func data(v any) answer { return answer{status: http.StatusOK, body: map[string]any{"data": v}} }

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.serve(r)
	for name, v := range a.header {
		w.Header().Set(name, v)
	}
	if a.body == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // a client that is gone needs no answer
}

func (s *Server) serve(r *http.Request) answer {
	var in map[string]any
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 32<<20)).Decode(&in); err != nil {
			return refuse(http.StatusBadRequest, "failed to parse JSON input: %v", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if r.Header.Get("X-Vault-Namespace") != s.Namespace || !ok {
		return answer{status: http.StatusNotFound, body: map[string]any{"errors": []string{}}}
	}
	if login, ok := strings.CutPrefix(path, "auth/"); ok && r.Method == http.MethodPost {
		return s.login(login, in)
	}
	path, ok = strings.CutPrefix(path, Mount+"/")
	t, known := s.tokens[r.Header.Get("X-Vault-Token")]
	denied := slices.ContainsFunc(t.denied, func(d string) bool { return strings.HasPrefix(r.Method+" "+path, d) })
	switch {
	case !known || !t.expires.IsZero() && !s.now().Before(t.expires), denied:
		return refuse(http.StatusForbidden, "permission denied")
	case !ok:
		return refuse(http.StatusNotFound, "no handler for route")
	}
	verb, name, _ := strings.Cut(path, "/")
	name, config := strings.CutSuffix(name, "/config")
	if path == "keys" && r.Method == "LIST" {
		if len(s.keys) == 0 {
			return answer{status: http.StatusNotFound, body: map[string]any{"errors": []string{}}}
		}
		return data(map[string]any{"keys": s.names()})
	}
	if !validName(name) {
		return refuse(http.StatusNotFound, "unsupported path")
	}
	switch r.Method + " " + verb {
	case "POST keys":
		if config {
			return s.configure(name, in)
		}
		return s.create(name, in)
	case "GET keys":
		return s.read(name)
	case "DELETE keys":
		return s.delete(name)
	case "POST encrypt":
		return s.encrypt(name, in)
	case "POST decrypt":
		if s.left == 0 {
			a := refuse(http.StatusTooManyRequests, "request path \"%s/decrypt\": rate limit quota exceeded", Mount)
			a.header = map[string]string{"Retry-After": strconv.Itoa(int(s.wait / time.Second))}
			return a
		}
		s.left = max(s.left-1, -1)
		return s.decrypt(name, in)
	}
	return refuse(http.StatusMethodNotAllowed, "unsupported operation")
}

// validName is the server's rule for names in paths: letters, digits, '_', and
// within them '-' and '.'.
func validName(name string) bool {
	word := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
	}
	for i := range len(name) {
		if !word(name[i]) && (i == 0 || i == len(name)-1 || name[i] != '-' && name[i] != '.') {
			return false
		}
	}
	return name != ""
}

func (s *Server) login(path string, in map[string]any) answer {
	id, secret := "", ""
	switch path {
	case "approle/login":
		id, _ = in["role_id"].(string)
		secret, _ = in["secret_id"].(string)
	case "kubernetes/login":
		id, _ = in["role"].(string)
		secret, _ = in["jwt"].(string)
	default:
		return refuse(http.StatusNotFound, "no handler for route")
	}
	if want, ok := s.roles[id]; !ok || want != secret {
		return refuse(http.StatusBadRequest, "invalid role or secret ID")
	}
	t := token{}
	if s.Lease > 0 {
		t.expires = s.now().Add(s.Lease)
	}
	s.logins++
	var b [16]byte
	rand.Read(b[:])
	name := "hvs." + hex.EncodeToString(b[:])
	s.tokens[name] = t
	return answer{status: http.StatusOK, body: map[string]any{"auth": map[string]any{"client_token": name, "lease_duration": int(s.Lease / time.Second)}}}
}

func (s *Server) create(name string, in map[string]any) answer {
	k := &engineKey{kind: "aes256-gcm96", created: s.now()}
	if t, ok := in["type"].(string); ok {
		k.kind = t
	}
	k.derived, _ = in["derived"].(bool)
	k.exportable, _ = in["exportable"].(bool)
	k.backup, _ = in["allow_plaintext_backup"].(bool)
	if s.keys[name] != nil {
		return s.read(name) // as it is: creating a key again changes nothing
	}
	switch k.kind {
	case "aes256-gcm96":
		rand.Read(k.secret[:])
	case "ecdsa-p256":
		pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return refuse(http.StatusInternalServerError, "%v", err)
		}
		der, err := x509.MarshalPKIXPublicKey(pair.Public())
		if err != nil {
			return refuse(http.StatusInternalServerError, "%v", err)
		}
		k.public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	default:
		return refuse(http.StatusBadRequest, "unknown key type %v", k.kind)
	}
	s.keys[name] = k
	return s.read(name)
}

func (s *Server) read(name string) answer {
	k := s.keys[name]
	if k == nil {
		return answer{status: http.StatusNotFound, body: map[string]any{"errors": []string{}}}
	}
	var first any = k.created.Unix()
	if k.public != "" {
		first = map[string]any{"creation_time": k.created.UTC().Format(time.RFC3339Nano), "name": "P-256", "public_key": k.public}
	}
	return data(map[string]any{
		"name": name, "type": k.kind, "derived": k.derived, "exportable": k.exportable, "allow_plaintext_backup": k.backup,
		"deletion_allowed": k.mayBeDeleted, "latest_version": 1, "min_decryption_version": 1, "keys": map[string]any{"1": first},
	})
}

func (s *Server) configure(name string, in map[string]any) answer {
	k := s.keys[name]
	if k == nil {
		return refuse(http.StatusBadRequest, "no existing key named %s could be found", name)
	}
	if allowed, ok := in["deletion_allowed"].(bool); ok {
		k.mayBeDeleted = allowed
	}
	return s.read(name)
}

func (s *Server) delete(name string) answer {
	switch k := s.keys[name]; {
	case k == nil:
		return refuse(http.StatusBadRequest, "error deleting policy %s: could not delete key; not found", name)
	case !k.mayBeDeleted:
		return refuse(http.StatusBadRequest, "error deleting policy %s: deletion is not allowed for this key", name)
	}
	delete(s.keys, name)
	return answer{}
}

func aead(k *engineKey) cipher.AEAD {
	block, err := aes.NewCipher(k.secret[:])
	if err != nil {
		panic("internal error: " + err.Error())
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return a
}
