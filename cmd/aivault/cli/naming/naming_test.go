package naming

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault"
)

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParseRef(t *testing.T) {
	for in, want := range map[string]vault.Ref{
		"fraud":                     {Artefact: "fraud"},
		"team/fraud-detector_2.x":   {Artefact: "team/fraud-detector_2.x"},
		"fraud@v7":                  {Artefact: "fraud", Number: 7},
		"fraud@latest":              {Artefact: "fraud", Latest: true},
		"fraud:prod":                {Artefact: "fraud", Channel: "prod"},
		"fraud@sha256:" + digest:    {Artefact: "fraud"},
		"aivault://lab/team/f:prod": {Artefact: "team/f", Channel: "prod"},
		"aivault://lab/f@v1":        {Artefact: "f", Number: 1},
	} {
		vaultName, got, err := ParseRef(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if strings.Contains(in, "sha256") {
			if got.Digest.String() != digest {
				t.Errorf("%q: digest %s", in, got.Digest)
			}
			got.Digest = want.Digest
		}
		if got != want || (vaultName == "lab") != strings.HasPrefix(in, addressScheme) {
			t.Errorf("%q: got %+v in %q, want %+v", in, got, vaultName, want)
		}
	}
}

func TestRefusedRefs(t *testing.T) {
	for _, in := range []string{
		"", "@v1", ":prod", "Fraud", "fraud@", "fraud@v0", "fraud@v01", "fraud@v-1", "fraud@7", "fraud@V7", "fraud@v7:prod",
		"fraud:", "fraud:Prod", "fraud:a/b", "fraud:prod@v1", "fraud@sha256:" + strings.ToUpper(digest), "fraud@sha256:" + digest[1:],
		"fraud@sha256:" + strings.Repeat("0", 64), "fraud@v99999999999999999999", "fraud @v1", "../fraud", "team//fraud", "/fraud",
		"aivault://", "aivault://lab", "aivault:///fraud", "aivault://lab/", "aivault://Lab/fraud", "aivault://lab:1/fraud",
		"s3://bucket/fraud", "fraud\x1b[31m", "fraud\n", "aivault://lab/aivault://lab/x",
	} {
		if _, got, err := ParseRef(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
	}
}

func TestParseArtefact(t *testing.T) {
	if v, name, err := ParseArtefact("aivault://lab/team/f"); v != "lab" || name != "team/f" || err != nil {
		t.Errorf("got %q, %q, %v", v, name, err)
	}
	for _, in := range []string{"f@v1", "f:main", "f@latest", ""} {
		if _, _, err := ParseArtefact(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"fraud@v7", "a/b:prod", "f@sha256:" + digest, "f@latest", "aivault://lab/f", "aivault:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ref, err := ParseRef(s)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		text := ref.String()
		if name != "" {
			text = addressScheme + name + "/" + text
		}
		if text != s {
			t.Fatalf("%q has a second spelling, %q", text, s)
		}
	})
}

func TestParseLocation(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (string, bool, error) {
		if name == "lab" {
			return "s3://models/lab?region=r", true, nil
		}
		return "", false, nil
	}
	for in, want := range map[string]string{
		"s3://models/vault?endpoint=localhost:9000&insecure=1": "s3://models/vault?endpoint=localhost%3A9000&insecure=1",
		"lab":                    "s3://models/lab?region=r",
		"./lab":                  "file://" + here + "/lab",
		"unknown":                "file://" + here + "/unknown",
		"/srv/vault":             "file:///srv/vault",
		"/srv/../v/":             "file:///v",
		"file:///srv/my%20vault": "file:///srv/my%20vault",
		"file:/srv/x":            "file:///srv/x",
		"file://localhost/srv":   "file:///srv",
		"/srv/100%/#a?b":         "file:///srv/100%25/%23a%3Fb",
		"a:b/c":                  "",
		"sub/dir with:colon":     "file://" + here + "/sub/dir%20with:colon",
	} {
		if runtime.GOOS == "windows" {
			break
		}
		got, err := ParseLocation(in, lookup)
		if want == "" {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: got %v, %v", in, got, err)
			}
			continue
		}
		if err != nil || got.String() != want {
			t.Errorf("%q: got %s, %v, want %s", in, got, err, want)
			continue
		}
		if again, err := ParseLocation(want, nil); err != nil || again.String() != got.String() {
			t.Errorf("%q: its canonical spelling reads as %+v, %v", in, again, err)
		}
	}
}

func TestRefusedLocations(t *testing.T) {
	for _, in := range []string{
		"", "gs://bucket", "https://host/x", "aivault://lab/x", "plugin:", "plugin::secret", "plugin:s3:secret", "plugin:../x:secret", "~/vault", "~bob/vault",
		"file://host/x", "file:x", "file:///x?y", "file:///x#y", "file:///%zz", "s3://", "s3://b", "s3://bucket/p?nonsense=1",
		"s3://key:secret@bucket/p", "a\x00b/c",
	} {
		_, err := ParseLocation(in, nil)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats it: %v", in, err)
		}
	}
}

func TestPluginLocation(t *testing.T) {
	l, err := ParseLocation("plugin:azblob:https://host/container:x", nil)
	if err != nil || l.Plugin != (Plugin{"azblob", "https://host/container:x"}) || l.Dir != "" || l.Place() != "plugin:azblob:https://host/container:x" {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestNamesDoNotChain(t *testing.T) {
	lookup := func(name string) (string, bool, error) { return "other", name == "lab", nil }
	l, err := ParseLocation("lab", lookup)
	if err != nil || filepath.Base(l.Dir) != "other" {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestPlaceLeavesOutWhoComes(t *testing.T) {
	l, err := ParseLocation("s3://bucket/p?profile=ops&role-arn=arn:aws:iam::1:role/x&region=r", nil)
	if err != nil || l.Place() != "s3://bucket/p?region=r" {
		t.Errorf("got %s, %v", l.Place(), err)
	}
	if l.S3.Profile != "ops" {
		t.Error("Place changed the location")
	}
}

func TestParseCustody(t *testing.T) {
	for in, want := range map[string]string{
		"local:/srv/keys":              "local:/srv/keys",
		"local:file:///srv/keys":       "local:/srv/keys",
		"object:s3://keys/a?profile=k": "object:s3://keys/a?profile=k",
		"object:/mnt/keys":             "object:file:///mnt/keys",
		"plugin:pkcs11:slot=3:x":       "plugin:pkcs11:slot=3:x",
		"plugin:tpm":                   "plugin:tpm:",
		"local:/a,local:/b":            "local:/a,local:/b",
		"any-of(local:/a, local:/b)":   "any-of(local:/a,local:/b)",
		"all-of(plugin:x:a,b(c),local:/d,e,object:s3://keys/a)": "all-of(plugin:x:a,b(c),local:/d,e,object:s3://keys/a)",
	} {
		k, err := ParseCustody(in)
		if err != nil || k.String() != want {
			t.Errorf("%q: got %s, %v", in, k, err)
			continue
		}
		if again, err := ParseCustody(want); err != nil || again.String() != want {
			t.Errorf("%q: its canonical spelling reads as %s, %v", in, again, err)
		}
	}
	for _, in := range []string{"", "local", "local:", "object:", "/srv/keys", "s3://keys/a", "local:s3://keys/a", "all-of(x)", "any-of(local:/a)", "any-of()", "any-of(local:/a,local:/b", "any-of(local:/a,local:/a/)", "one-of(local:/a,local:/b)",
		"any-of(local:/a,all-of(local:/b,local:/c))", "any-of(local:/a,x)" + "local:/a", "plugin:local:x", "plugin:", "vault:x", "object:gs://x", "object:plugin:azblob:x", "local:plugin:azblob:x"} {
		if k, err := ParseCustody(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %s, %v", in, k, err)
		}
	}
}

func FuzzParseLocation(f *testing.F) {
	for _, s := range []string{"s3://bucket/prefix?region=x", "file:///a%20b", "./x", "C:\\x", "lab", "~", "plugin:a:b", "file:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLocation(s, nil)
		if err != nil {
			return
		}
		if again, err := ParseLocation(l.String(), nil); err != nil || again.String() != l.String() || again.Dir != l.Dir {
			t.Fatalf("%q reads as %+v, and its spelling %q as %+v, %v", s, l, l.String(), again, err)
		}
	})
}

func FuzzParseCustody(f *testing.F) {
	for _, s := range []string{"local:/a", "any-of(local:/a,local:/b)", "all-of(plugin:x:a,b,object:s3://keys/a)", "any-of((,)", "any-of(local:,)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCustody(s)
		if err != nil {
			return
		}
		if again, err := ParseCustody(c.String()); err != nil || again.String() != c.String() || len(again.Keepers) != len(c.Keepers) {
			t.Fatalf("%q reads as %+v, and its spelling %q as %+v, %v", s, c, c.String(), again, err)
		}
	})
}
