package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// resolveWith resolves settings for a command line of flags alone.
func resolveWith(t *testing.T, env map[string]string, config string, flags ...string) (settings, error) {
	t.Helper()
	values, err := parseConfig([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	var out settings
	app := &cli.App{Flags: globalFlags(), DisableSliceFlagSeparator: true, ExitErrHandler: func(*cli.Context, error) {},
		Action: func(ctx *cli.Context) (err error) {
			out, err = resolve(ctx, func(n string) (string, bool) { v, ok := env[n]; return v, ok }, configFile{"config.toml", values})
			return err
		}}
	err = app.RunContext(context.Background(), append([]string{"aivault"}, flags...))
	return out, err
}

func TestPrecedence(t *testing.T) {
	env := map[string]string{}
	config := ""
	for _, step := range []struct {
		do   func()
		want time.Duration
		from string
	}{
		{func() {}, time.Minute, "default"},
		{func() { config = "\n stall = \"50s\" # x\n" }, 50 * time.Second, "config config.toml:2"},
		{func() { env["AIVAULT_STALL"] = "" }, 50 * time.Second, "config config.toml:2"},
		{func() { env["AIVAULT_STALL"] = "40s" }, 40 * time.Second, "environment AIVAULT_STALL"},
	} {
		step.do()
		s, err := resolveWith(t, env, config)
		if o := s.where("stall"); err != nil || s.stall != step.want || strings.TrimSpace(o.Origin+" "+o.Source) != step.from {
			t.Errorf("%v from %v, %v; want %v from %s", s.stall, o, err, step.want, step.from)
		}
	}
	s, err := resolveWith(t, env, config, "--stall=30s")
	if err != nil || s.stall != 30*time.Second || s.where("stall").Origin != "flag" {
		t.Errorf("%v, %v", s.stall, err)
	}
}

func TestSwitchCanBeSwitchedOff(t *testing.T) {
	env := map[string]string{"AIVAULT_JSON": "true"}
	if s, err := resolveWith(t, env, ""); err != nil || !s.json {
		t.Errorf("the variable: %t, %v", s.json, err)
	}
	if s, err := resolveWith(t, env, "json = true", "--json=false"); err != nil || s.json {
		t.Errorf("the flag: %t, %v", s.json, err)
	}
}

func TestPinsAreRepeated(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	one, two := "vault/7/"+hash, hash+"/9/"+hash
	s, err := resolveWith(t, map[string]string{"AIVAULT_PIN": one}, "", "--pin="+one, "--pin="+two)
	if err != nil || len(s.pins) != 2 {
		t.Errorf("flags: %v, %v", s.pins, err)
	}
	s, err = resolveWith(t, map[string]string{"AIVAULT_PIN": one + " " + two}, "")
	if err != nil || len(s.pins) != 2 {
		t.Errorf("variable: %v, %v", s.pins, err)
	}
}

func TestRefusedSettings(t *testing.T) {
	for _, tc := range []struct {
		env   map[string]string
		flags []string
		want  string
	}{
		{nil, []string{"--stall=x"}, `--stall: "x" is no duration; write e.g. 30s, 10m or 2h`},
		{nil, []string{"--timeout=-1s"}, `--timeout: "-1s" is no duration; write e.g. 30s, 10m or 2h`},
		{map[string]string{"AIVAULT_JOBS": "0"}, nil, `AIVAULT_JOBS: "0" is no number from 1 to 16`},
		{map[string]string{"AIVAULT_JSON": "perhaps"}, nil, `AIVAULT_JSON: strconv.ParseBool: parsing "perhaps": invalid syntax`},
		{nil, []string{"--progress=loud"}, `--progress: "loud" is none of auto, plain, json, none`},
		{nil, []string{"--genesis=ab"}, ""},
		{nil, []string{"--pin=x"}, ""},
		{nil, []string{"--limit-rate=fast"}, `--limit-rate: "fast" is no rate; write bytes a second, e.g. 500k or 20M`},
		{nil, []string{"--limit-rate=5"}, `--limit-rate: a rate below 1k would never finish`},
		{nil, []string{"--vault="}, `--vault is empty`},
		{nil, []string{"--json", "--quiet"}, `--json (--json) and --quiet (--quiet) exclude each other`},
	} {
		_, err := resolveWith(t, tc.env, "", tc.flags...)
		if !errors.Is(err, errUsage) || tc.want != "" && err.Error() != tc.want {
			t.Errorf("%v %v: %v", tc.env, tc.flags, err)
		}
	}
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]int64{"1000": 1000, "500k": 500_000, "20M": 20_000_000, "1G": 1_000_000_000} {
		if got, err := parseRate(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"k", "1.5M", "-1k", "1kk", "99999999999G", "1 M"} {
		if got, err := parseRate(in); err == nil {
			t.Errorf("%s: %d", in, got)
		}
	}
}

func TestParseConfig(t *testing.T) {
	got, err := parseConfig([]byte("# mine\n\nvault = \"s3://b/p\" # here\njobs=4\njson = true\ncustody = 'local:C:\\keys'\r\nidentity = \"exec:x \\\"a b\\\"\""))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"vault": "s3://b/p", "jobs": "4", "json": "true", "custody": `local:C:\keys`, "identity": `exec:x "a b"`} {
		if got[name].text != want {
			t.Errorf("%s: %q", name, got[name].text)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for in, want := range map[string]string{
		"vualt = \"x\"":            `1: there is no setting "vualt"`,
		"\nvault":                  `2: a line has the form NAME = VALUE`,
		"[vault]":                  `1: a line has the form NAME = VALUE`,
		"vault = x":                `1: vault: a string in "quotes" belongs here`,
		"vault = \"x":              `1: vault: the closing " is missing`,
		"vault = 'x":               `1: vault: the closing ' is missing`,
		"vault = \"x\" y":          `1: vault: only a comment may follow the value`,
		"vault = \"\\u0041\"":      `1: vault: only \" \\ \n \t \r \b and \f are escapes here; 'single quotes' have none`,
		"vault = '''x'''":          `1: vault: strings of several lines are not supported`,
		"json = \"true\"":          `1: json: true or false belongs here, without quotes`,
		"jobs = \"4\"":             `1: jobs: a number without quotes belongs here`,
		"vault = 'a'\nvault = 'b'": `2: vault stands in line 1 already`,
		"vault = 'a\x1bb'":         `1: a control character stands in the line`,
		"\xff":                     `1: the file is not UTF-8`,
		"yes = true":               `1: there is no setting "yes"`,
	} {
		if _, err := parseConfig([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("vault = \"s3://b/p\" # here\njobs=4\njson = true\ncustody = 'x'\n")
	f.Add("stall = \"\\\"\"\n\n#\n")
	f.Fuzz(func(t *testing.T, s string) {
		values, err := parseConfig([]byte(s))
		if err != nil {
			return
		}
		for name, v := range values {
			if v.line < 1 || v.line > strings.Count(s, "\n")+1 {
				t.Fatalf("%s in line %d", name, v.line)
			}
		}
	})
}

func TestConfigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if c, err := readConfig(path); err != nil || len(c.values) != 0 {
		t.Errorf("no file: %v, %v", c, err)
	}
	if err := os.WriteFile(path, []byte("jobs = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := readConfig(path); err != nil || c.values["jobs"].text != "3" {
		t.Errorf("%v, %v", c, err)
	}
	if err := os.WriteFile(path, make([]byte, maxConfig+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(path); !errors.Is(err, errUsage) {
		t.Errorf("too long: %v", err)
	}
}
