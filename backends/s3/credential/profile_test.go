package credential

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

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
