package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// settings are the values of the global flags.
type settings struct {
	vault    string
	identity string // a source, see identity_source.go; "" for the default file
	genesis  canonical.Digest
	pins     []ledger.Pin

	witnesses    []*checkpoint.Witness
	maxStaleness time.Duration // 0: as policy says

	custody  string
	json     bool
	progress string
	quiet    bool
	logLevel slog.Level
	noInput  bool
	exitCode bool
	stall    time.Duration // 0: never
	timeout  time.Duration // 0: none
	caFile   string
	jobs     int    // 0: found by measuring
	rate     int64  // bytes a second; 0: no limit
	stateDir string // "" where this user has no place for it
	incident string // that what is put on record belongs to; "": none

	pluginDir string // "" where this user has no place for it

	from []origin // in the order of the table
}

// origin says where the value of a setting came from.
type origin struct {
	Name   string
	Value  string
	Origin string // "flag", "environment", "config", "default"
	Source string // the flag, the variable, the file and line; "" for a default
}

// setting is a global flag, which has a variable and a line in the
// configuration file too.
type setting struct {
	name     string
	value    string // what stands for its value in help; "" for a switch
	number   bool   // unquoted in the configuration file
	repeat   bool
	usage    string
	fallback string        // the default; "": none
	found    func() string // the default, where it depends on who runs the program
	set      func(*settings, string) error
}

func globalSettings() []setting {
	return []setting{
		{name: "vault", value: "VAULT", usage: "the vault: s3://BUCKET/PREFIX?…, file:///DIR, a path, plugin:NAME:CONFIG, or a name that join gave",
			set: func(s *settings, v string) error { s.vault = v; return nil }},
		{name: "identity", value: "SRC", found: defaultIdentityPath, usage: "who you are: a file, - for stdin, env:NAME, fd:N, or exec:COMMAND, which is run without a shell and prints the identity; without it, AIVAULT_IDENTITY_KEY may hold the identity itself, else it is the file identity in aivault's configuration directory; AIVAULT_PASSPHRASE_FILE names a file with its passphrase",
			set: func(s *settings, v string) error { s.identity = v; return nil }},
		{name: "genesis", value: "DIGEST", usage: "refuse any vault but this one",
			set: func(s *settings, v string) (err error) { s.genesis, err = canonical.ParseDigest(v); return err }},
		{name: "pin", value: "HEAD", repeat: true, usage: "refuse a journal that lacks this head, as push printed it; may be repeated",
			set: func(s *settings, v string) error {
				for word := range strings.FieldsSeq(v) {
					p, err := vault.ParsePin(word)
					if err != nil {
						return err
					}
					s.pins = append(s.pins, p)
				}
				return nil
			}},
		{name: "witness", value: "KEY", repeat: true, usage: "trust the cosignatures of this witness, as audit cosign printed its key, beside those that policy names; may be repeated",
			set: func(s *settings, v string) error {
				for word := range strings.FieldsSeq(v) {
					w, err := checkpoint.ParseWitness(word)
					if err != nil {
						return err
					}
					s.witnesses = append(s.witnesses, w)
				}
				return nil
			}},
		{name: "max-staleness", value: "DURATION", usage: "refuse content whose journal no witness has cosigned for so long",
			set: func(s *settings, v string) (err error) { s.maxStaleness, err = parseDuration(v); return err }},
		{name: "custody", value: "SPEC", usage: "where this machine reaches the keeper of keys: local:DIR, object:STORE-URL, plugin:NAME:CONFIG, any-of(A,B) or all-of(A,B)",
			set: func(s *settings, v string) error { s.custody = v; return nil }},
		{name: "json", usage: "print results, and errors, as JSON",
			set: func(s *settings, v string) (err error) { s.json, err = strconv.ParseBool(v); return err }},
		{name: "progress", value: "auto|plain|json|none", fallback: "auto", usage: "how progress is shown on stderr; auto: a line that moves on a terminal, else a line now and then",
			set: func(s *settings, v string) error { s.progress = v; return oneOf(v, "auto", "plain", "json", "none") }},
		{name: "quiet", usage: "print nothing but the reference, or the name",
			set: func(s *settings, v string) (err error) { s.quiet, err = strconv.ParseBool(v); return err }},
		{name: "log-level", value: "debug|info|warn|error", fallback: "warn", usage: "how much is said on stderr",
			set: func(s *settings, v string) error {
				if err := oneOf(v, "debug", "info", "warn", "error"); err != nil {
					return err
				}
				return s.logLevel.UnmarshalText([]byte(v))
			}},
		{name: "no-input", usage: "never ask anything; implied without a terminal",
			set: func(s *settings, v string) (err error) { s.noInput, err = strconv.ParseBool(v); return err }},
		{name: "exit-code", usage: "exit with 4 if there was nothing to do",
			set: func(s *settings, v string) (err error) { s.exitCode, err = strconv.ParseBool(v); return err }},
		{name: "stall", value: "DURATION", fallback: "60s", usage: "give up when storage or keeper make no progress for so long; 0: never",
			set: func(s *settings, v string) (err error) { s.stall, err = parseDuration(v); return err }},
		{name: "timeout", value: "DURATION", usage: "give up after so long, whatever happens",
			set: func(s *settings, v string) (err error) { s.timeout, err = parseDuration(v); return err }},
		{name: "ca-file", value: "FILE", usage: "certificates (PEM) of the authorities that storage and keeper may use, instead of this system's",
			set: func(s *settings, v string) error { s.caFile = v; return nil }},
		{name: "jobs", value: "N", number: true, usage: fmt.Sprintf("how many objects are on their way at once, at most %d; without it, as many as the link is found to carry", transfer.MaxJobs),
			set: func(s *settings, v string) (err error) {
				if s.jobs, err = strconv.Atoi(v); err != nil || s.jobs < 1 || s.jobs > transfer.MaxJobs {
					return fmt.Errorf("%q is no number from 1 to %d", v, transfer.MaxJobs)
				}
				return nil
			}},
		{name: "limit-rate", value: "RATE", usage: "bytes a second over the network to a bucket, both ways together, e.g. 500k, 20M",
			set: func(s *settings, v string) (err error) { s.rate, err = parseRate(v); return err }},
		{name: "plugin-dir", value: "DIR", found: defaultPluginDir, usage: "where plugins lie, each as aivault-plugin-NAME; without it, the directory plugins in aivault's configuration directory",
			set: func(s *settings, v string) error { s.pluginDir = v; return nil }},
		{name: "state-dir", value: "DIR", found: defaultStateDir, usage: "where this machine remembers what it has seen; if that cannot be written, reading goes on with a warning; without it, a directory of this user's",
			set: func(s *settings, v string) error { s.stateDir = v; return nil }},
		{name: "incident", value: "ID", usage: "the incident that an act belongs to, for the record: of promote, rollback, quarantine and quarantine clear",
			set: func(s *settings, v string) error {
				if len(v) > state.MaxWord || printable(v) != v {
					return fmt.Errorf("%q is no id of an incident: at most %d bytes, on one line", v, state.MaxWord)
				}
				s.incident = v
				return nil
			}},
	}
}

// globalFlags makes a flag of each setting. They have no EnvVars: resolve knows
// which source wins, and says so.
func globalFlags() []cli.Flag {
	var out []cli.Flag
	for _, s := range globalSettings() {
		usage := s.usage
		if s.fallback != "" {
			usage += " (default " + s.fallback + ")"
		}
		usage += " [$" + s.variable() + "]"
		switch {
		case s.value == "":
			out = append(out, boolFlag(s.name, usage))
		case s.repeat:
			out = append(out, listFlag(s.name, s.value, usage))
		default:
			out = append(out, textFlag(s.name, s.value, usage))
		}
	}
	return out
}

// variable is the setting's environment variable.
func (s setting) variable() string {
	return "AIVAULT_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// resolve finds the value of each setting: the flag, else the variable unless
// it is empty, else the configuration file, else the default.
func resolve(flags *cli.Context, env func(string) (string, bool), config configFile) (settings, error) {
	var out settings
	for _, s := range globalSettings() {
		o := origin{Name: s.name, Origin: "default", Value: s.fallback}
		switch {
		case s.found != nil:
			o.Value = s.found()
		case s.value == "":
			o.Value = "false"
		}
		values := []string{o.Value}
		fromEnv, _ := env(s.variable())
		fromConfig, inConfig := config.values[s.name]
		switch {
		case flags.IsSet(s.name):
			o.Origin, o.Source = "flag", "--"+s.name
			switch {
			case s.value == "":
				values = []string{strconv.FormatBool(flags.Bool(s.name))}
			case s.repeat:
				values = flags.StringSlice(s.name)
			default:
				values = []string{flags.String(s.name)}
			}
		case fromEnv != "":
			o.Origin, o.Source, values = "environment", s.variable(), []string{fromEnv}
		case inConfig:
			o.Origin, o.Source, values = "config", fmt.Sprintf("%s:%d", config.path, fromConfig.line), []string{fromConfig.text}
		}
		o.Value = strings.Join(values, " ")
		out.from = append(out.from, o)
		if o.Origin == "default" && o.Value == "" {
			continue
		}
		for _, v := range values {
			if v == "" {
				return out, usage("%s is empty", o.Source)
			}
			if err := s.set(&out, v); err != nil {
				return out, usage("%s: %w", o.Source, err)
			}
		}
	}
	if out.where("identity").Origin == "default" {
		out.identity = ""
	}
	if out.json && out.quiet {
		return out, usage("--json (%s) and --quiet (%s) exclude each other", out.where("json").Source, out.where("quiet").Source)
	}
	return out, nil
}

// where returns the origin of a setting.
func (s *settings) where(name string) origin {
	return s.from[slices.IndexFunc(s.from, func(o origin) bool { return o.Name == name })]
}

func oneOf(v string, words ...string) error {
	if !slices.Contains(words, v) {
		return fmt.Errorf("%q is none of %s", v, strings.Join(words, ", "))
	}
	return nil
}

func parseDuration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration; write e.g. 30s, 10m or 2h", v)
	}
	return d, nil
}

// parseRate reads bytes a second: a number, then nothing or k, M or G (powers
// of 1,000).
func parseRate(v string) (int64, error) {
	n, err := parseAmount(v)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no rate; write bytes a second, e.g. 500k or 20M", v)
	case n < 1000:
		return 0, errors.New("a rate below 1k would never finish")
	}
	return n, nil
}

// parseAmount reads 1 to 2^50 bytes, as parseRate writes them. v is not empty.
func parseAmount(v string) (int64, error) {
	unit := int64(1)
	number := v
	if i := strings.IndexByte("kMG", v[len(v)-1]); i >= 0 {
		number = v[:len(v)-1]
		for range i + 1 {
			unit *= 1000
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > (1<<50)/unit {
		return 0, fmt.Errorf("%q is no number of bytes; write e.g. 500k, 20M or 2G", v)
	}
	return n * unit, nil
}

// configDir is where this user's configuration of aivault lies, "" if there is
// no such place, as in a container without a home.
func configDir() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "aivault")
}

// below joins names to a directory, if there is one.
func below(dir string, names ...string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(append([]string{dir}, names...)...)
}

func defaultIdentityPath() string { return below(configDir(), "identity") }

func defaultPluginDir() string { return below(configDir(), "plugins") }

// defaultStateDir follows the XDG Base Directory Specification 0.8 where it
// applies, and what is usual elsewhere.
func defaultStateDir() string {
	switch runtime.GOOS {
	case "windows":
		dir, err := os.UserCacheDir() // %LocalAppData%
		if err != nil {
			return ""
		}
		return filepath.Join(dir, "aivault")
	case "darwin", "ios":
		return below(configDir(), "state")
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "aivault")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "aivault")
}
