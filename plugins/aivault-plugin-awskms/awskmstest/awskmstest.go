// Package awskmstest is a double of AWS KMS, of one account and region, made from
// its API's documentation: it refuses what the documentation says that KMS refuses,
// and forgets a key and its aliases when the deletion that was scheduled is due. It
// checks no signatures, and is consistent at once, as KMS is not. It is no proof
// that the plugin works with AWS.
package awskmstest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is a KMS in memory.
type Server struct {
	now func() time.Time

	mu        sync.Mutex
	keys      map[string]*kmsKey
	aliases   map[string]string // key ids by name
	throttled map[string]bool   // operations
	denied    map[string]bool   // operations
	hidden    bool              // no symmetric key is shown
}

type kmsKey struct {
	id, spec, description string
	multiRegion           bool
	created, deletion     time.Time // deletion: zero if none is scheduled
	disabled              bool
	secret                [32]byte
}

// New returns an empty KMS.
func New(now func() time.Time) *Server {
	return &Server{now: now, keys: map[string]*kmsKey{}, aliases: map[string]string{}, throttled: map[string]bool{}, denied: map[string]bool{}}
}

// Throttle makes an operation exceed its quota, or not any more.
func (s *Server) Throttle(operation string, on bool) { s.set(s.throttled, operation, on) }

// Deny denies an operation, or not any more.
func (s *Server) Deny(operation string, on bool) { s.set(s.denied, operation, on) }

func (s *Server) set(m map[string]bool, operation string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m[operation] = on
}

// Disable disables the key of an alias, as its owner may.
func (s *Server) Disable(alias string) { s.edit(alias, func(k *kmsKey) { k.disabled = true }) }

// CancelDeletion takes back the deletion of the key of an alias, as its owner may,
// and enables the key again.
func (s *Server) CancelDeletion(alias string) {
	s.edit(alias, func(k *kmsKey) { k.deletion, k.disabled = time.Time{}, false })
}

func (s *Server) edit(alias string, change func(*kmsKey)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[s.aliases[alias]]; k != nil {
		change(k)
	}
}

// Hide hides every symmetric key, as KMS does one that was just made, or shows them
// again.
func (s *Server) Hide(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = on
}

// Keys returns how many keys there are that are not about to be deleted.
func (s *Server) Keys() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.deletion.IsZero() {
			n++
		}
	}
	return n
}

// exception is an error as KMS writes it.
type exception struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (e *exception) Error() string { return e.Type + ": " + e.Message }

func refuse(kind, format string, args ...any) *exception {
	return &exception{kind, fmt.Sprintf(format, args...)}
}

// request has the fields of all operations.
type request struct {
	KeyId, AliasName, TargetKeyId, KeySpec, KeyUsage, Description, MacAlgorithm, Marker string
	PendingWindowInDays                                                                 *int
	Limit                                                                               int
	MultiRegion                                                                         bool
	Tags                                                                                []struct{ TagKey, TagValue string }
	Plaintext, CiphertextBlob, Message, Mac                                             []byte
	EncryptionContext                                                                   map[string]string
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	var in request
	var out any
	err := refuse("UnknownOperationException", "%s", operation)
	switch derr := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); {
	case !ok || r.Method != http.MethodPost:
	case derr != nil:
		err = refuse("SerializationException", "%v", derr)
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="):
		err = refuse("MissingAuthenticationTokenException", "Missing Authentication Token")
	default:
		out, err = s.serve(operation, in)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		out = err
	}
	_ = json.NewEncoder(w).Encode(out) // a client that is gone needs no answer
}

func (s *Server) serve(operation string, in request) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	switch {
	case s.throttled[operation]:
		return nil, refuse("ThrottlingException", "Rate exceeded")
	case s.denied[operation]:
		return nil, refuse("AccessDeniedException", "User is not authorized to perform: kms:%s", operation)
	}
	switch operation {
	case "CreateKey":
		return s.createKey(in)
	case "CreateAlias":
		return s.createAlias(in)
	case "DescribeKey":
		k, err := s.find(in.KeyId, true)
		if err != nil {
			return nil, err
		}
		return map[string]any{"KeyMetadata": s.metadata(k)}, nil
	case "ListAliases":
		return s.listAliases(in)
	case "ScheduleKeyDeletion":
		return s.schedule(in)
	case "Encrypt":
		return s.encrypt(in)
	case "Decrypt":
		return s.decrypt(in)
	case "GenerateMac", "VerifyMac":
		return s.mac(in, operation == "VerifyMac")
	}
	return nil, refuse("UnknownOperationException", "%s", operation)
}

// forget deletes the keys whose time has come.
func (s *Server) forget() {
	for id, k := range s.keys {
		if k.deletion.IsZero() || s.now().Before(k.deletion) {
			continue
		}
		delete(s.keys, id)
		for name, target := range s.aliases {
			if target == id {
				delete(s.aliases, name)
			}
		}
	}
}

// find finds a key by id, ARN or, where the operation allows it, alias.
func (s *Server) find(id string, alias bool) (*kmsKey, *exception) {
	if rest, ok := strings.CutPrefix(id, arnPrefix+"key/"); ok {
		id = rest
	}
	if strings.HasPrefix(id, "alias/") {
		if !alias {
			return nil, refuse("ValidationException", "the operation takes no alias")
		}
		name := id
		if id = s.aliases[name]; id == "" {
			return nil, refuse("NotFoundException", "Alias %s%s is not found.", arnPrefix, name)
		}
	}
	k := s.keys[id]
	if k == nil || s.hidden && k.spec == "SYMMETRIC_DEFAULT" {
		return nil, refuse("NotFoundException", "Key '%skey/%s' does not exist", arnPrefix, id)
	}
	return k, nil
}

// usable finds a key that is enabled, and of a spec.
func (s *Server) usable(id, spec string) (*kmsKey, *exception) {
	k, err := s.find(id, true)
	switch {
	case err != nil:
		return nil, err
	case !k.deletion.IsZero():
		return nil, refuse("KMSInvalidStateException", "%skey/%s is pending deletion.", arnPrefix, k.id)
	case k.disabled:
		return nil, refuse("DisabledException", "%skey/%s is disabled.", arnPrefix, k.id)
	case k.spec != spec:
		return nil, refuse("InvalidKeyUsageException", "key %s has spec %s", k.id, k.spec)
	}
	return k, nil
}

const arnPrefix = "arn:aws:kms:eu-central-1:111122223333:"

func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (s *Server) metadata(k *kmsKey) map[string]any {
	m := map[string]any{
		"KeyId": k.id, "Arn": arnPrefix + "key/" + k.id, "AWSAccountId": "111122223333", "CreationDate": epoch(k.created), "Description": k.description,
		"KeySpec": k.spec, "MultiRegion": k.multiRegion, "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "Enabled": true, "KeyState": "Enabled",
		"KeyUsage": "ENCRYPT_DECRYPT",
	}
	if k.spec != "SYMMETRIC_DEFAULT" {
		m["KeyUsage"] = "GENERATE_VERIFY_MAC"
	}
	switch {
	case !k.deletion.IsZero():
		m["Enabled"], m["KeyState"], m["DeletionDate"] = false, "PendingDeletion", epoch(k.deletion)
	case k.disabled:
		m["Enabled"], m["KeyState"] = false, "Disabled"
	}
	return m
}

func (s *Server) createKey(in request) (any, *exception) {
	usage := map[string]string{"": "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT": "ENCRYPT_DECRYPT", "HMAC_256": "GENERATE_VERIFY_MAC"}[in.KeySpec]
	if usage == "" || in.KeyUsage != usage && in.KeyUsage != "" || in.KeyUsage == "" && in.KeySpec == "HMAC_256" {
		return nil, refuse("ValidationException", "KeySpec %s with KeyUsage %s", in.KeySpec, in.KeyUsage)
	}
	for _, t := range in.Tags {
		if t.TagKey == "" || len(t.TagKey) > 128 || len(t.TagValue) > 256 || strings.HasPrefix(t.TagKey, "aws:") {
			return nil, refuse("TagException", "tag %q", t.TagKey)
		}
	}
	if len(in.Description) > 8192 {
		return nil, refuse("ValidationException", "description of %d bytes", len(in.Description))
	}
	var id [16]byte
	rand.Read(id[:])
	h := hex.EncodeToString(id[:])
	k := &kmsKey{id: strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"), spec: in.KeySpec, description: in.Description, multiRegion: in.MultiRegion, created: s.now()}
	if k.spec == "" {
		k.spec = "SYMMETRIC_DEFAULT"
	}
	rand.Read(k.secret[:])
	s.keys[k.id] = k
	return map[string]any{"KeyMetadata": s.metadata(k)}, nil
}

var aliasForm = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)

// aliasesPerKey is a quota of KMS.
const aliasesPerKey = 50

func (s *Server) createAlias(in request) (any, *exception) {
	if !aliasForm.MatchString(in.AliasName) || strings.HasPrefix(in.AliasName, "alias/aws/") {
		return nil, refuse("InvalidAliasNameException", "%s", in.AliasName)
	}
	if _, taken := s.aliases[in.AliasName]; taken {
		return nil, refuse("AlreadyExistsException", "An alias with the name %s%s already exists", arnPrefix, in.AliasName)
	}
	k, err := s.find(in.TargetKeyId, false)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, target := range s.aliases {
		if target == k.id {
			n++
		}
	}
	switch {
	case !k.deletion.IsZero():
		return nil, refuse("KMSInvalidStateException", "%s is pending deletion.", k.id)
	case n >= aliasesPerKey:
		return nil, refuse("LimitExceededException", "the key has %d aliases", n)
	}
	s.aliases[in.AliasName] = k.id
	return map[string]any{}, nil
}

func (s *Server) listAliases(in request) (any, *exception) {
	limit := in.Limit
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 100 {
		return nil, refuse("ValidationException", "limit %d", limit)
	}
	names := []string{}
	for name := range s.aliases {
		if name > in.Marker {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := map[string]any{"Truncated": len(names) > limit}
	if len(names) > limit {
		names = names[:limit]
		out["NextMarker"] = names[limit-1]
	}
	list := []any{}
	for _, name := range names {
		list = append(list, map[string]any{"AliasName": name, "TargetKeyId": s.aliases[name]})
	}
	out["Aliases"] = list
	return out, nil
}

func (s *Server) schedule(in request) (any, *exception) {
	k, err := s.find(in.KeyId, false)
	if err != nil {
		return nil, err
	}
	days := 30
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	switch {
	case days < 7 || days > 30:
		return nil, refuse("ValidationException", "PendingWindowInDays %d", days)
	case !k.deletion.IsZero():
		return nil, refuse("KMSInvalidStateException", "%s is pending deletion.", k.id)
	}
	k.deletion = s.now().AddDate(0, 0, days)
	return map[string]any{"KeyId": arnPrefix + "key/" + k.id, "DeletionDate": epoch(k.deletion), "KeyState": "PendingDeletion", "PendingWindowInDays": days}, nil
}

func (s *Server) mac(in request, verify bool) (any, *exception) {
	k, err := s.usable(in.KeyId, "HMAC_256")
	if err != nil {
		return nil, err
	}
	if in.MacAlgorithm != "HMAC_SHA_256" || len(in.Message) == 0 || len(in.Message) > 4096 {
		return nil, refuse("ValidationException", "algorithm %s, message of %d bytes", in.MacAlgorithm, len(in.Message))
	}
	h := hmac.New(sha256.New, k.secret[:])
	h.Write(in.Message)
	sum := h.Sum(nil)
	out := map[string]any{"KeyId": arnPrefix + "key/" + k.id, "MacAlgorithm": in.MacAlgorithm}
	if verify {
		if !hmac.Equal(sum, in.Mac) {
			return nil, refuse("KMSInvalidMacException", "the MAC does not verify")
		}
		out["MacValid"] = true
		return out, nil
	}
	out["Mac"] = sum
	return out, nil
}
