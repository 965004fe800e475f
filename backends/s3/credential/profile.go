package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errNoProfile means that the shared files have no profile of that name.
var errNoProfile = errors.New("no such profile")

// shared is what the shared files hold together.
type shared struct {
	profiles sections
	sessions sections // sso-session
}

// readFiles reads the config file and, over it, the credentials file. Either
// may be missing.
func (o Options) readFiles() (shared, error) {
	out := shared{profiles: sections{}, sessions: sections{}}
	for _, f := range []struct {
		variable, base string
		config         bool
	}{
		{"AWS_CONFIG_FILE", "config", true},
		{"AWS_SHARED_CREDENTIALS_FILE", "credentials", false},
	} {
		file := o.location(f.variable)
		if file == "" {
			if o.home() == "" {
				continue
			}
			file = filepath.Join(o.home(), ".aws", f.base)
		}
		data, err := readBounded(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return shared{}, err
		}
		parsed, err := parseINI(data)
		if err != nil {
			return shared{}, fmt.Errorf("%s: %w", file, err)
		}
		for name, keys := range parsed {
			into := out.profiles
			if kind, rest, ok := strings.Cut(name, " "); ok && f.config {
				switch name = rest; kind {
				case "profile":
				case "sso-session":
					into = out.sessions
				default:
					continue
				}
			} else if f.config && name != "default" {
				continue
			}
			if into[name] == nil {
				into[name] = map[string]string{}
			}
			maps.Copy(into[name], keys)
		}
	}
	return out, nil
}

// fromProfile resolves a profile. within lists the profiles that lead here.
func (o Options) fromProfile(ctx context.Context, name string, within []string) (Value, error) {
	if slices.Contains(within, name) {
		return Value{}, fmt.Errorf("profile %q names itself as its source: %s", name, strings.Join(append(within, name), " → "))
	}
	files, err := o.readFiles()
	if err != nil {
		return Value{}, err
	}
	p, ok := files.profiles[name]
	if !ok {
		return Value{}, fmt.Errorf("%w: %q", errNoProfile, name)
	}
	var v Value
	if p["role_arn"] != "" {
		v, err = o.fromRole(ctx, name, p, within)
	} else {
		v, err = o.fromKeys(ctx, name, p, files)
	}
	if err != nil && !errors.Is(err, errNothing) {
		return Value{}, fmt.Errorf("profile %q: %w", name, err)
	}
	return v, err
}

// fromRole assumes the profile's role with what its source gives.
func (o Options) fromRole(ctx context.Context, name string, p map[string]string, within []string) (Value, error) {
	r := role{arn: p["role_arn"], session: p["role_session_name"], externalID: p["external_id"], region: p["region"]}
	if s := p["duration_seconds"]; s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 900 || n > 43200 {
			return Value{}, fmt.Errorf("duration_seconds is %q, not 900 to 43200", s)
		}
		r.duration = time.Duration(n) * time.Second
	}
	if r.region == "" {
		r.region = o.Region()
	}
	if p["mfa_serial"] != "" {
		return Value{}, errors.New("mfa_serial is set, and a one-time code cannot be asked for here; use credential_process or session credentials")
	}
	if f := p["web_identity_token_file"]; f != "" {
		return o.assumeWithToken(ctx, f, r)
	}
	source, err := o.roleSource(ctx, name, p, within)
	if errors.Is(err, errNothing) {
		err = fmt.Errorf("the source of its role has no credentials")
	}
	if err != nil {
		return Value{}, err
	}
	return o.assumeRole(ctx, source, r)
}

// roleSource is what a role is assumed with.
func (o Options) roleSource(ctx context.Context, name string, p map[string]string, within []string) (Value, error) {
	from, place := p["source_profile"], p["credential_source"]
	switch {
	case from != "" && place != "":
		return Value{}, errors.New("source_profile and credential_source exclude each other")
	case from == name:
		v, ok, err := staticKeys(p)
		if err == nil && !ok {
			err = errNothing
		}
		return v, err
	case from != "":
		return o.fromProfile(ctx, from, append(within, name))
	case place == "Environment":
		return o.fromEnvironment(ctx)
	case place == "EcsContainer":
		return o.fromContainer(ctx)
	case place == "Ec2InstanceMetadata":
		return o.fromInstance(ctx)
	case place != "":
		return Value{}, fmt.Errorf("unknown credential_source %q", place)
	}
	return Value{}, errors.New("role_arn needs source_profile, credential_source or web_identity_token_file")
}

// fromKeys takes what the profile holds itself.
func (o Options) fromKeys(ctx context.Context, name string, p map[string]string, files shared) (Value, error) {
	v, ok, err := staticKeys(p)
	switch {
	case err != nil || ok:
		return v, err
	case p["sso_session"] != "" || p["sso_start_url"] != "" || p["sso_role_name"] != "":
		return o.fromSSO(ctx, p, files.sessions)
	case p["credential_process"] != "":
		return o.fromProcess(ctx, p["credential_process"])
	}
	return Value{}, fmt.Errorf("%w: profile %q has no credentials", errNothing, name)
}

func staticKeys(p map[string]string) (v Value, ok bool, err error) {
	v = Value{AccessKey: p["aws_access_key_id"], SecretKey: p["aws_secret_access_key"], Token: p["aws_session_token"]}
	if (v.AccessKey == "") != (v.SecretKey == "") {
		return Value{}, false, errors.New("only one of aws_access_key_id and aws_secret_access_key is set")
	}
	return v, v.AccessKey != "", nil
}

// readBounded reads a file of at most maxFile bytes.
func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", file, maxFile)
	}
	return data, err
}
