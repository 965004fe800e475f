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

func TestProfiles(t *testing.T) {
	sts := sts(t)
	for _, test := range []struct {
		name, profile, config, credentials string
		want                               string // access key
		refused                            string // part of the error
	}{
		{name: "credentials win over config", config: "[default]\naws_access_key_id=c\naws_secret_access_key=s",
			credentials: "[default]\naws_access_key_id=f\naws_secret_access_key=s", want: "f"},
		{name: "named", profile: "prod", config: "[profile prod]\naws_access_key_id=p\naws_secret_access_key=s", want: "p"},
		{name: "quoted", profile: "a b", config: "[profile \"a b\"]\naws_access_key_id=q\naws_secret_access_key=s", want: "q"},
		{name: "nested settings are not keys", config: "[default]\nAWS_Access_Key_ID=n\naws_secret_access_key=s\ns3 =\n  aws_access_key_id = x\n", want: "n"},
		{name: "unknown", profile: "nope", config: "[default]", refused: `no such profile: "nope"`},
		{name: "a config section without the word profile", profile: "prod", config: "[prod]\naws_access_key_id=p\naws_secret_access_key=s", refused: "no such profile"},
		{name: "half a pair", profile: "h", credentials: "[h]\naws_access_key_id=h", refused: "only one of"},
		{name: "empty", profile: "e", config: "[profile e]\nregion=eu-west-1", refused: ErrNone.Error()},
		{name: "role with source", profile: "r", want: "of arn:r",
			config:      "[profile r]\nrole_arn=arn:r\nsource_profile=base\nexternal_id=x1\nrole_session_name=me\nduration_seconds=900",
			credentials: "[base]\naws_access_key_id=b\naws_secret_access_key=s\naws_session_token=bt"},
		{name: "role on a role", profile: "r2", want: "of arn:2",
			config: "[profile r2]\nrole_arn=arn:2\nsource_profile=r1\n[profile r1]\nrole_arn=arn:1\nsource_profile=r1\naws_access_key_id=b\naws_secret_access_key=s"},
		{name: "circle", profile: "a", config: "[profile a]\nrole_arn=a\nsource_profile=b\n[profile b]\nrole_arn=b\nsource_profile=a", refused: "names itself"},
		{name: "role without source", profile: "r", config: "[profile r]\nrole_arn=arn:r", refused: "role_arn needs"},
		{name: "two sources", profile: "r", config: "[profile r]\nrole_arn=r\nsource_profile=x\ncredential_source=Environment", refused: "exclude"},
		{name: "unknown source", profile: "r", config: "[profile r]\nrole_arn=r\ncredential_source=Thin Air", refused: "unknown credential_source"},
		{name: "environment is empty", profile: "r", config: "[profile r]\nrole_arn=r\ncredential_source=Environment", refused: "no credentials"},
		{name: "one-time code", profile: "r", config: "[profile r]\nrole_arn=r\nsource_profile=r\nmfa_serial=m", refused: "mfa_serial"},
		{name: "duration", profile: "r", config: "[profile r]\nrole_arn=r\nsource_profile=r\nduration_seconds=1", refused: "duration_seconds"},
		{name: "not ini", profile: "r", config: "role_arn", refused: "line 1"},
		{name: "process", profile: "p", config: `[profile p]` + "\n" + `credential_process = echo '{"Version":1,"AccessKeyId":"proc","SecretAccessKey":"s"}'`, want: "proc"},
		{name: "process of the wrong version", profile: "p", config: `[profile p]` + "\n" + `credential_process = echo '{"Version":2,"AccessKeyId":"proc","SecretAccessKey":"s"}'`, refused: "lacks Version 1"},
		{name: "process that fails", profile: "p", config: "[profile p]\ncredential_process = false", refused: "exit status 1"},
		{name: "process that prints without end", profile: "p", config: "[profile p]\ncredential_process = yes", refused: "printed more than"},
		{name: "open quote", profile: "p", config: "[profile p]\ncredential_process = echo 'x", refused: "quote"},
		{name: "session contradicted", profile: "s", config: "[profile s]\nsso_session=x\nsso_account_id=1\nsso_role_name=r\nsso_start_url=https://a\n[sso-session x]\nsso_start_url=https://b\nsso_region=r", refused: "sso_start_url differs"},
		{name: "no session", profile: "s", config: "[profile s]\nsso_session=x\nsso_account_id=1\nsso_role_name=r", refused: "no [sso-session x]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := machine(t, env{"AWS_ENDPOINT_URL_STS": sts.URL})
			e.write(t, ".aws/config", test.config)
			e.write(t, ".aws/credentials", test.credentials)
			v, err := get(t, Options{Lookup: e.lookup, Profile: test.profile})
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Fatalf("got %v, %v; want an error with %q", v, err, test.refused)
				}
				return
			}
			if err != nil || v.AccessKey != test.want {
				t.Fatalf("got %v, %v; want %s", v, err, test.want)
			}
		})
	}
	for _, r := range sts.seen {
		if r.Form.Get("RoleArn") == "arn:r" {
			if r.Form.Get("ExternalId") != "x1" || r.Form.Get("RoleSessionName") != "me" || r.Form.Get("DurationSeconds") != "900" {
				t.Errorf("form: %v", r.Form)
			}
			if r.Header.Get("X-Amz-Security-Token") != "bt" || !strings.Contains(r.Header.Get("Authorization"), "Credential=b/") {
				t.Errorf("the request is not signed by the source: %v", r.Header)
			}
		}
	}
}

func TestProcessSeesNoIdentity(t *testing.T) {
	t.Setenv("AIVAULT_IDENTITY_KEY", "AGE-SECRET-KEY-PQ-1")
	e := machine(t, nil)
	script := e.write(t, "helper", "#!/bin/sh\nprintf '{\"Version\":1,\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\"}' \"seen:$AIVAULT_IDENTITY_KEY\"\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	e.write(t, ".aws/config", "[default]\ncredential_process = "+script)
	if v := mustGet(t, Options{Lookup: e.lookup}); v.AccessKey != "seen:" {
		t.Fatalf("the helper saw %q", v.AccessKey)
	}
}

func TestNamedProfileMustExist(t *testing.T) {
	e := machine(t, env{"AWS_PROFILE": "nope"})
	e.write(t, ".aws/config", "[default]\naws_access_key_id=d\naws_secret_access_key=s")
	if v, err := get(t, Options{Lookup: e.lookup}); !errors.Is(err, errNoProfile) {
		t.Fatalf("got %v, %v", v, err)
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

func TestSSO(t *testing.T) {
	portal := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-amz-sso_bearer_token") != "bearer" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"%s/%s","secretAccessKey":"s","sessionToken":"t","expiration":32472144000000}}`,
			r.Form.Get("account_id"), r.Form.Get("role_name"))
	})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	e := machine(t, env{"AWS_ENDPOINT_URL_SSO": portal.URL})
	o := Options{Lookup: e.lookup, Now: func() time.Time { return now }}
	e.write(t, ".aws/config", "[default]\nsso_session = corp\nsso_account_id = 42\nsso_role_name = dev\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://x\n")

	if _, err := get(t, o); !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "aws sso login") {
		t.Fatalf("not logged in: %v", err)
	}
	// The cache file is named by the SHA-1 of "corp".
	const cache = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json"
	e.write(t, cache, `{"accessToken":"bearer","expiresAt":"2026-01-01T01:00:00Z"}`)
	if v := mustGet(t, o); v.AccessKey != "42/dev" || v.Expires.Year() != 2999 {
		t.Fatalf("got %v until %v", v, v.Expires)
	}
	now = now.Add(time.Hour)
	if _, err := get(t, o); !errors.Is(err, ErrExpired) {
		t.Fatalf("the session has ended: %v", err)
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

func TestRegion(t *testing.T) {
	e := machine(t, nil)
	e.write(t, ".aws/config", "[default]\nregion = eu-north-1\n[profile x]\nregion = eu-south-1")
	for _, test := range []struct {
		set  env
		o    Options
		want string
	}{
		{nil, Options{}, "eu-north-1"},
		{nil, Options{Profile: "x"}, "eu-south-1"},
		{env{"AWS_DEFAULT_REGION": "d"}, Options{}, "d"},
		{env{"AWS_DEFAULT_REGION": "d", "AWS_REGION": "r"}, Options{}, "r"},
		{env{"AWS_REGION": "r", "B_AWS_REGION": "b"}, Options{Prefix: "B_"}, "b"},
		{nil, Options{Prefix: "B_"}, ""},
	} {
		test.o.Lookup = func(n string) string {
			if v, ok := test.set[n]; ok {
				return v
			}
			return e[n]
		}
		if got := test.o.Region(); got != test.want {
			t.Errorf("%v %q: got %q, want %q", test.set, test.o.Profile, got, test.want)
		}
	}
}

func FuzzParseINI(f *testing.F) {
	f.Add("[default]\naws_access_key_id = a # c\n[profile \"x y\"]\ns3 =\n  k = v\n")
	f.Add("[a]\r\nk=v;w\r\nk = v ; w")
	f.Add("[")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseINI([]byte(text))
		if err != nil {
			return
		}
		for section, keys := range parsed {
			for k, v := range keys {
				if k != strings.ToLower(strings.TrimSpace(k)) || v != strings.TrimSpace(v) || strings.ContainsAny(k+v, "\n") {
					t.Fatalf("section %q: %q = %q is not normal", section, k, v)
				}
			}
		}
	})
}

func FuzzSplitCommand(f *testing.F) {
	f.Add(`helper "C:\Program Files\x" 'a b' c\d`)
	f.Add(`"`)
	f.Fuzz(func(t *testing.T, s string) {
		args, err := splitCommand(s)
		if err != nil {
			return
		}
		quoted := make([]string, len(args))
		for i, a := range args {
			quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a) + `"`
		}
		again, err := splitCommand(strings.Join(quoted, " "))
		if err != nil || strings.Join(again, "\x00") != strings.Join(args, "\x00") {
			t.Fatalf("%q split to %q, quoted and split again to %q, %v", s, args, again, err)
		}
	})
}
