package credential

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options says where to look.
type Options struct {
	// Lookup returns an environment variable, "" if unset. Required.
	Lookup func(name string) string
	// Prefix stands before the name of every AWS variable, for a second storage
	// with credentials of its own, e.g. "AIVAULT_CUSTODY_". With a prefix, only
	// prefixed variables and what they name are looked at; an instance role, or
	// a default profile, is the first storage's.
	Prefix string
	// Profile names the profile of the shared files to use, and no other place.
	Profile string
	// RoleARN is a role to assume with the credentials found. With a prefix
	// and no credentials under it, those of the machine serve.
	RoleARN string
	// Endpoint is the storage's host, "" for AWS. Instance roles are looked at
	// only where it is AWS.
	Endpoint string
	// RootCAs verify the services asked for credentials; nil: the system's.
	RootCAs *x509.CertPool
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// New returns a source that looks in these places, in this order, each time
// credentials are needed and none are fresh. It does no I/O itself.
func New(o Options) *Source {
	if o.Now == nil {
		o.Now = time.Now
	}
	return newSource(o.Now, o.retrieve)
}

// Region is the AWS region that variables or the profile ask for, or "".
func (o Options) Region() string {
	if r := o.location("AWS_REGION"); r != "" {
		return r
	}
	if r := o.location("AWS_DEFAULT_REGION"); r != "" {
		return r
	}
	name := o.profileName()
	if name == "" {
		return ""
	}
	files, err := o.readFiles()
	if err != nil {
		return ""
	}
	return files.profiles[name]["region"]
}

// variable returns an AWS variable, under the prefix.
func (o Options) variable(name string) string { return o.Lookup(o.Prefix + name) }

// location returns a variable that says where something is, which the first
// storage's may do for a second one.
func (o Options) location(name string) string {
	if v := o.variable(name); v != "" {
		return v
	}
	return o.Lookup(name)
}

// profileName is the profile that applies, "" if none does.
func (o Options) profileName() string {
	switch {
	case o.Profile != "":
		return o.Profile
	case o.variable("AWS_PROFILE") != "":
		return o.variable("AWS_PROFILE")
	case o.Prefix == "":
		return "default"
	}
	return ""
}

func (o Options) retrieve(ctx context.Context) (Value, error) {
	v, err := o.find(ctx)
	if o.RoleARN == "" {
		return v, err
	}
	if errors.Is(err, ErrNone) && o.Prefix != "" && o.Profile == "" {
		machine := o
		machine.Prefix = ""
		v, err = machine.find(ctx)
	}
	if err != nil {
		return Value{}, err
	}
	return o.assumeRole(ctx, v, role{arn: o.RoleARN, session: o.variable("AWS_ROLE_SESSION_NAME"), region: o.Region()})
}

// errNothing means that a place holds no credentials, and the next may.
var errNothing = errors.New("nothing there")

// find looks in each place in turn. What is there but wrong ends the search.
func (o Options) find(ctx context.Context) (Value, error) {
	if o.Profile != "" {
		v, err := o.fromProfile(ctx, o.Profile, nil)
		if errors.Is(err, errNothing) {
			return Value{}, fmt.Errorf("%w in profile %q", ErrNone, o.Profile)
		}
		return v, err
	}
	var tried []string
	for _, place := range []struct {
		name string
		look func(context.Context) (Value, error)
	}{
		{"variables " + o.Prefix + "AWS_ACCESS_KEY_ID and " + o.Prefix + "AWS_SECRET_ACCESS_KEY", o.fromEnvironment},
		{"web identity (" + o.Prefix + "AWS_WEB_IDENTITY_TOKEN_FILE)", o.fromWebIdentity},
		{"shared files", o.fromFiles},
		{"container role", o.fromContainer},
		{"instance role", o.fromInstance},
	} {
		v, err := place.look(ctx)
		if err == nil {
			return v, nil
		}
		if !errors.Is(err, errNothing) {
			return Value{}, fmt.Errorf("%s: %w", place.name, err)
		}
		why := strings.TrimPrefix(strings.TrimPrefix(err.Error(), errNothing.Error()), ": ")
		if why != "" {
			why = " (" + why + ")"
		}
		tried = append(tried, place.name+why)
	}
	return Value{}, fmt.Errorf("%w; looked at: %s", ErrNone, strings.Join(tried, "; "))
}

func (o Options) fromEnvironment(context.Context) (Value, error) {
	v := Value{
		AccessKey: o.variable("AWS_ACCESS_KEY_ID"),
		SecretKey: o.variable("AWS_SECRET_ACCESS_KEY"),
		Token:     o.variable("AWS_SESSION_TOKEN"),
	}
	switch {
	case v.AccessKey != "" && v.SecretKey != "":
		return v, nil
	case v.AccessKey != "" || v.SecretKey != "":
		return Value{}, errors.New("only one of the two is set")
	}
	return Value{}, errNothing
}

func (o Options) fromWebIdentity(ctx context.Context) (Value, error) {
	file := o.variable("AWS_WEB_IDENTITY_TOKEN_FILE")
	if file == "" {
		return Value{}, errNothing
	}
	arn := o.variable("AWS_ROLE_ARN")
	if arn == "" {
		return Value{}, fmt.Errorf("%sAWS_ROLE_ARN is not set", o.Prefix)
	}
	return o.assumeWithToken(ctx, file, role{arn: arn, session: o.variable("AWS_ROLE_SESSION_NAME"), region: o.Region()})
}

func (o Options) fromFiles(ctx context.Context) (Value, error) {
	name := o.profileName()
	if name == "" {
		return Value{}, fmt.Errorf("%w: %sAWS_PROFILE is not set", errNothing, o.Prefix)
	}
	v, err := o.fromProfile(ctx, name, nil)
	if errors.Is(err, errNoProfile) && o.variable("AWS_PROFILE") == "" {
		return Value{}, fmt.Errorf("%w: no profile %q", errNothing, name)
	}
	return v, err
}

// awsEndpoint reports whether requests for the storage go to AWS.
func (o Options) awsEndpoint() bool {
	if o.Endpoint == "" {
		return true
	}
	u, err := url.Parse("//" + o.Endpoint)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// home is the user's home directory, "" if unknown.
func (o Options) home() string {
	if h := o.Lookup("HOME"); h != "" {
		return h
	}
	return o.Lookup("USERPROFILE")
}

// client speaks to services on the internet, through the usual proxies. It
// keeps no connection, so nothing of it outlives a call.
func (o Options) client() *http.Client {
	t := baseTransport()
	t.Proxy = http.ProxyFromEnvironment
	t.TLSClientConfig.RootCAs = o.RootCAs
	return &http.Client{Transport: t, Timeout: 30 * time.Second}
}

// readToken reads a file that a platform renews in place.
func readToken(file string) (string, error) {
	data, err := readBounded(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("token file %s does not exist", file)
	}
	return strings.TrimSpace(string(data)), err
}
