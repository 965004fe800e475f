package s3

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxPrefix leaves room for a key below S3's 1,024 bytes.
const maxPrefix = 512

// ParseURL reads
//
//	s3://bucket/prefix?endpoint=host:port&region=r&insecure=1&path-style=1&profile=NAME&role-arn=ARN
//
// An unknown, empty or repeated parameter is refused, and so are credentials. No
// error repeats the URL, in which somebody may have put some.
func ParseURL(text string) (Config, error) {
	c, err := parseURL(text)
	if err != nil {
		return Config{}, fmt.Errorf("s3 URL: %w", err)
	}
	return c, nil
}

func parseURL(text string) (Config, error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	if !ok {
		return Config{}, errors.New("it does not begin with s3://")
	}
	place, query, _ := strings.Cut(rest, "?")
	if strings.ContainsAny(place, "@") {
		return Config{}, errors.New("credentials do not belong in it; use the environment, shared files or profile=")
	}
	var c Config
	c.Bucket, c.Prefix, _ = strings.Cut(place, "/")
	c.Prefix = strings.TrimSuffix(c.Prefix, "/")

	values, err := url.ParseQuery(query)
	if err != nil || strings.Contains(query, "#") {
		return Config{}, errors.New("what follows the ? is not name=value&name=value")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if len(values[name]) > 1 {
			return Config{}, fmt.Errorf("parameter %q stands twice", name)
		}
		if err := c.set(name, values[name][0]); err != nil {
			return Config{}, err
		}
	}
	return c, c.check()
}

// set takes one parameter.
func (c *Config) set(name, value string) error {
	var text *string
	switch name {
	case "endpoint":
		text = &c.Endpoint
	case "region":
		text = &c.Region
	case "profile":
		text = &c.Profile
	case "role-arn":
		text = &c.RoleARN
	case "insecure", "path-style":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("parameter %q must be 1 or 0", name)
		}
		switch {
		case name == "insecure":
			c.Insecure = on
		case on:
			c.Style = PathStyle
		default:
			c.Style = VirtualHost
		}
		return nil
	default:
		return fmt.Errorf("unknown parameter %q; known are endpoint, region, insecure, path-style, profile and role-arn", name)
	}
	if value == "" {
		return fmt.Errorf("parameter %q is empty", name)
	}
	*text = value
	return nil
}

// URL is the canonical form: ParseURL gives back the same first part of c.
func (c Config) URL() string {
	out := "s3://" + c.Bucket
	if c.Prefix != "" {
		out += "/" + c.Prefix
	}
	values := url.Values{}
	for name, value := range map[string]string{"endpoint": c.Endpoint, "region": c.Region, "profile": c.Profile, "role-arn": c.RoleARN} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if c.Insecure {
		values.Set("insecure", "1")
	}
	switch c.Style {
	case PathStyle:
		values.Set("path-style", "1")
	case VirtualHost:
		values.Set("path-style", "0")
	}
	if len(values) > 0 {
		out += "?" + values.Encode()
	}
	return out
}

// check refuses what cannot be, before anything is sent.
func (c Config) check() error {
	if err := checkBucket(c.Bucket); err != nil {
		return err
	}
	if err := checkStorePrefix(c.Prefix); err != nil {
		return err
	}
	if c.Endpoint != "" {
		if err := checkEndpoint(c.Endpoint); err != nil {
			return err
		}
	}
	if c.Region != "" {
		if err := checkRegion(c.Region); err != nil {
			return err
		}
	}
	switch {
	case c.Insecure && c.Endpoint == "":
		return errors.New("insecure is for an endpoint of your own; AWS speaks HTTPS")
	case c.Style > VirtualHost:
		return fmt.Errorf("unknown addressing style %d", c.Style)
	case c.Style == VirtualHost && isAddress(c.Endpoint):
		return errors.New("an endpoint that is an IP address needs path-style=1")
	case strings.ContainsFunc(c.Profile+c.RoleARN, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("profile or role-arn has a control character")
	}
	return nil
}

// checkBucket applies the rules that S3 and its relatives share.
func checkBucket(name string) error {
	if len(name) < 3 || len(name) > 63 {
		return errors.New("the bucket's name must have 3 to 63 characters")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, "-") != label {
			return errors.New("parts of the bucket's name must begin and end with a letter or digit")
		}
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-') }) {
		return errors.New("the bucket's name may have only a-z, 0-9, '.' and '-'")
	}
	return nil
}

// checkStorePrefix allows more than a key: prefixes are chosen by people.
func checkStorePrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if len(prefix) > maxPrefix {
		return fmt.Errorf("the prefix must not be longer than %d bytes", maxPrefix)
	}
	for seg := range strings.SplitSeq(prefix, "/") {
		if strings.Trim(seg, ".") == "" {
			return errors.New("the prefix has an empty part, or one made of dots")
		}
	}
	if strings.ContainsFunc(prefix, func(r rune) bool { return !wordRune(r) && r != '/' && r != '.' }) {
		return errors.New("the prefix may have only letters, digits, '/', '.', '-' and '_'")
	}
	return nil
}

func checkRegion(region string) error {
	if len(region) > 64 || strings.ContainsFunc(region, func(r rune) bool { return !wordRune(r) }) {
		return errors.New("the region may have only letters, digits, '-' and '_'")
	}
	return nil
}

func checkEndpoint(endpoint string) error {
	if strings.Contains(endpoint, "//") {
		return errors.New("endpoint takes host or host:port without a scheme; insecure=1 means plain HTTP")
	}
	host := endpoint
	if h, port, err := net.SplitHostPort(endpoint); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port != strconv.FormatUint(n, 10) {
			return errors.New("the endpoint's port must be 1 to 65535")
		}
		if host = h; strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	if ip, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(ip, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" || !strings.HasSuffix(ip, "]") {
			return errors.New("the endpoint must be host or host:port, an IPv6 address in brackets")
		}
		return nil
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool { return !wordRune(r) }) {
			return errors.New("the endpoint must be host or host:port")
		}
	}
	return nil
}

// isAddress reports whether an endpoint is an IP address, which has no names below it.
func isAddress(endpoint string) bool {
	host := endpoint
	if h, _, err := net.SplitHostPort(endpoint); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

func wordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}
