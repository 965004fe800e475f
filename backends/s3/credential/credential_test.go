package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// env is an environment of its own for each test.
type env map[string]string

func (e env) lookup(name string) string { return e[name] }

// machine is an environment with an empty home and no metadata service.
func machine(t *testing.T, set env) env {
	t.Helper()
	e := env{"HOME": t.TempDir(), "AWS_EC2_METADATA_DISABLED": "true"}
	for k, v := range set {
		e[k] = v
	}
	return e
}

func (e env) write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(e["HOME"], name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func get(t *testing.T, o Options) (Value, error) {
	t.Helper()
	return New(o).Get(t.Context())
}

func mustGet(t *testing.T, o Options) Value {
	t.Helper()
	v, err := get(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// service stands in for STS, the SSO portal and the metadata services.
type service struct {
	*httptest.Server
	seen []*http.Request // with the form parsed
}

func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // no form is no error here
		s.seen = append(s.seen, r)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

const farFuture = "2999-01-01T00:00:00Z"

func sts(t *testing.T) *service {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		action := r.Form.Get("Action")
		fmt.Fprintf(w, `<%sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%sResult><Credentials>
<AccessKeyId>of %s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>tok</SessionToken><Expiration>%s</Expiration>
</Credentials></%sResult></%sResponse>`, action, action, r.Form.Get("RoleArn"), farFuture, action, action)
	})
}

func TestOrder(t *testing.T) {
	sts := sts(t)
	agent := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "agent-token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"AccessKeyId":"container","SecretAccessKey":"s","Token":"t","Expiration":%q}`, farFuture)
	})
	e := machine(t, env{
		"AWS_ACCESS_KEY_ID": "environment", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t",
		"AWS_ROLE_ARN": "web", "AWS_ENDPOINT_URL_STS": sts.URL,
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "agent-token",
	})
	e["AWS_WEB_IDENTITY_TOKEN_FILE"] = e.write(t, "token", "jwt\n")
	e.write(t, ".aws/credentials", "[default]\naws_access_key_id = file\naws_secret_access_key = s # a comment\n")
	o := Options{Lookup: e.lookup}

	for _, step := range []struct {
		want string
		drop []string
	}{
		{"environment", []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}},
		{"of web", []string{"AWS_WEB_IDENTITY_TOKEN_FILE"}},
		{"file", []string{"HOME"}},
		{"container", nil},
	} {
		v := mustGet(t, o)
		if v.AccessKey != step.want || v.SecretKey != "s" {
			t.Fatalf("got %v, want %s", v, step.want)
		}
		for _, name := range step.drop {
			delete(e, name)
		}
	}
	if got := sts.seen[0].Form.Get("WebIdentityToken"); got != "jwt" {
		t.Errorf("token sent is %q", got)
	}
	if got := sts.seen[0].Form.Get("RoleSessionName"); got != "aivault" {
		t.Errorf("session is called %q", got)
	}
	if sts.seen[0].Header.Get("Authorization") != "" {
		t.Error("AssumeRoleWithWebIdentity must not be signed")
	}
	delete(e, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if v, err := get(t, o); !errors.Is(err, ErrNone) || v != (Value{}) {
		t.Fatalf("nothing is left, got %v, %v", v, err)
	}
}

func TestNoneSaysWhereItLooked(t *testing.T) {
	e := machine(t, nil)
	_, err := get(t, Options{Lookup: e.lookup, Prefix: "AIVAULT_CUSTODY_"})
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "AIVAULT_CUSTODY_AWS_ACCESS_KEY_ID") {
		t.Fatal(err)
	}
}

// Services that answer without saying what they were asked for.
func TestEmptyAnswers(t *testing.T) {
	answer := ""
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer) })
	e := machine(t, env{
		"AWS_ENDPOINT_URL_STS": s.URL, "AWS_ENDPOINT_URL_SSO": s.URL, "AWS_CONTAINER_CREDENTIALS_FULL_URI": s.URL,
	})
	e.write(t, ".aws/config", "[profile sso]\nsso_start_url=corp\nsso_region=r\nsso_account_id=1\nsso_role_name=r\n[profile role]\nrole_arn=r\nsource_profile=role\naws_access_key_id=a\naws_secret_access_key=s\n")
	e.write(t, ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json", `{"accessToken":"t","expiresAt":"2999-01-01T00:00:00Z"}`)
	for _, profile := range []string{"sso", "role", ""} {
		for _, answer = range []string{
			"", "{}", "<x/>", "<x", `{"roleCredentials":{"accessKeyId":"a"}}`, `{"AccessKeyId":"a"}`,
			`{"Code":"Failed","AccessKeyId":"a","SecretAccessKey":"s"}`,
			"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId></Credentials></AssumeRoleResult></AssumeRoleResponse>",
		} {
			if v, err := get(t, Options{Lookup: e.lookup, Profile: profile}); err == nil || errors.Is(err, ErrNone) {
				t.Errorf("profile %q, answer %q: %v, %v", profile, answer, v, err)
			}
		}
	}
}

func TestContainerTokenStaysHere(t *testing.T) {
	e := machine(t, env{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t"})
	if _, err := get(t, Options{Lookup: e.lookup}); err == nil || !strings.Contains(err.Error(), "neither https nor local") {
		t.Fatal(err)
	}
}

func TestInstanceRole(t *testing.T) {
	imds := serve(t, func(w http.ResponseWriter, r *http.Request) {
		const base = "/latest/meta-data/iam/security-credentials/"
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			fmt.Fprint(w, "session")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "session":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == base:
			fmt.Fprint(w, "the-role\n")
		case r.URL.Path == base+"the-role":
			fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"instance","SecretAccessKey":"s","Token":"t","Expiration":%q}`, farFuture)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	e := env{"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.URL}
	if v := mustGet(t, Options{Lookup: e.lookup}); v.AccessKey != "instance" {
		t.Fatalf("got %v", v)
	}
	if v := mustGet(t, Options{Lookup: e.lookup, Endpoint: "bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com"}); v.AccessKey != "instance" {
		t.Fatalf("got %v", v)
	}
	asked := len(imds.seen)
	for name, o := range map[string]Options{
		"other endpoint": {Lookup: e.lookup, Endpoint: "minio.example.com:9000"},
		"look-alike":     {Lookup: e.lookup, Endpoint: "amazonaws.com.example.com"},
		"second storage": {Lookup: e.lookup, Prefix: "AIVAULT_MIRROR_"},
		"disabled":       {Lookup: env{"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.URL, "AWS_EC2_METADATA_DISABLED": "TRUE"}.lookup},
	} {
		if _, err := get(t, o); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(imds.seen) != asked {
		t.Error("the metadata service was asked although it must not be")
	}
}

func TestNoInstanceService(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	e := env{"AWS_EC2_METADATA_SERVICE_ENDPOINT": closed.URL}
	if _, err := get(t, Options{Lookup: e.lookup}); !errors.Is(err, ErrNone) {
		t.Fatal(err)
	}
}

func TestContainerEndpoint(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"http://127.0.0.1:99/x": true, "http://localhost/x": true, "http://[::1]/x": true, "https://anything.example/x": true,
		"http://169.254.170.2/v2": true, "http://169.254.170.23/v1": true, "http://[fd00:ec2::23]/v1": true,
		"http://169.254.169.254/x": false, "http://evil.example/x": false, "http://127.0.0.1.evil.example/": false, "ftp://127.0.0.1/": false,
	} {
		if err := checkContainer(endpoint); (err == nil) != ok {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestPrefix(t *testing.T) {
	sts := sts(t)
	e := machine(t, env{
		"AWS_ACCESS_KEY_ID": "first", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL_STS": sts.URL,
		"B_AWS_ACCESS_KEY_ID": "second", "B_AWS_SECRET_ACCESS_KEY": "s",
	})
	e.write(t, ".aws/credentials", "[default]\naws_access_key_id=d\naws_secret_access_key=s\n[other]\naws_access_key_id=o\naws_secret_access_key=s\n")
	if v := mustGet(t, Options{Lookup: e.lookup, Prefix: "B_"}); v.AccessKey != "second" {
		t.Fatalf("got %v", v)
	}
	if v, err := get(t, Options{Lookup: e.lookup, Prefix: "C_"}); !errors.Is(err, ErrNone) {
		t.Fatalf("the first storage's credentials served the second: %v, %v", v, err)
	}
	if v := mustGet(t, Options{Lookup: e.lookup, Prefix: "C_", Profile: "other"}); v.AccessKey != "o" {
		t.Fatalf("got %v", v)
	}
	if v := mustGet(t, Options{Lookup: e.lookup, Prefix: "C_", RoleARN: "arn:k"}); v.AccessKey != "of arn:k" {
		t.Fatalf("got %v", v)
	}
}

func TestHalfAnEnvironmentIsAnError(t *testing.T) {
	e := machine(t, env{"AWS_ACCESS_KEY_ID": "a"})
	e.write(t, ".aws/credentials", "[default]\naws_access_key_id=d\naws_secret_access_key=s\n")
	if v, err := get(t, Options{Lookup: e.lookup}); err == nil || errors.Is(err, ErrNone) {
		t.Fatalf("got %v, %v", v, err)
	}
}

func TestServiceErrors(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		want   error
	}{
		{400, "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>", ErrExpired},
		{403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", nil},
		{503, "", ErrUnavailable},
		{429, "", ErrUnavailable},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		})
		e := machine(t, env{"AWS_ENDPOINT_URL_STS": s.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"})
		_, err := get(t, Options{Lookup: e.lookup, RoleARN: "arn:x"})
		if err == nil || test.want != nil && !errors.Is(err, test.want) || test.want == nil && (errors.Is(err, ErrExpired) || errors.Is(err, ErrUnavailable)) {
			t.Errorf("%d: %v", test.status, err)
		}
	}
}

func TestRenewal(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	calls, fail := 0, error(nil)
	s := newSource(func() time.Time { return now }, func(context.Context) (Value, error) {
		calls++
		if fail != nil {
			return Value{}, fail
		}
		return Value{AccessKey: fmt.Sprint(calls), SecretKey: "s", Expires: now.Add(time.Hour)}, nil
	})
	want := func(key string) {
		t.Helper()
		v, err := s.Get(t.Context())
		if err != nil || v.AccessKey != key {
			t.Fatalf("got %v, %v; want %s", v, err, key)
		}
	}
	want("1")
	now = now.Add(54 * time.Minute)
	want("1")
	now = now.Add(time.Minute) // five minutes are left
	want("2")

	now = now.Add(56 * time.Minute)
	fail = ErrUnavailable
	want("2") // it still holds
	before := calls
	want("2")
	if calls != before {
		t.Error("a failed renewal is tried again at once")
	}
	now = now.Add(5 * time.Minute) // it no longer does
	if v, err := s.Get(t.Context()); !errors.Is(err, ErrExpired) || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("got %v, %v", v, err)
	}
	fail = nil
	v, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before = calls
	s.Invalidate(t.Context(), Value{AccessKey: "stale"})
	if want(v.AccessKey); calls != before {
		t.Error("invalidating an older value dropped the newer one")
	}
	s.Invalidate(t.Context(), v)
	want(fmt.Sprint(before + 1))
}

func TestExpiredFromTheStart(t *testing.T) {
	s := newSource(time.Now, func(context.Context) (Value, error) {
		return Value{AccessKey: "a", SecretKey: "s", Expires: time.Unix(1, 0)}, nil
	})
	if _, err := s.Get(t.Context()); !errors.Is(err, ErrExpired) {
		t.Fatal(err)
	}
}

func TestWaitingCanBeCancelled(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := newSource(time.Now, func(context.Context) (Value, error) {
		close(entered)
		<-release
		return Value{AccessKey: "a", SecretKey: "s"}, nil
	})
	done := make(chan error, 1)
	go func() { _, err := s.Get(context.Background()); done <- err }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	v := Value{AccessKey: "AKIA", SecretKey: "topsecret", Token: "topsecret"}
	j, err := json.Marshal(map[string]any{"v": v, "p": &v})
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "v", v)
	held := Static("AKIA", "topsecret", "topsecret")
	if _, err := held.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s AKIA", held, held, held, held), fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v), fmt.Sprint(&v, []Value{v}, struct{ V Value }{v}), string(j), logged.String()} {
		if strings.Contains(s, "topsecret") || strings.Contains(s, fmt.Sprintf("%x", "topsecret")) || !strings.Contains(s, "AKIA") {
			t.Errorf("printed: %s", s)
		}
	}
}
