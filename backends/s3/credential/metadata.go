package credential

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	// instanceTime bounds each of the three requests for an instance role. A
	// machine without the service often drops the packets silently.
	instanceTime  = time.Second
	containerTime = 5 * time.Second

	instanceEndpoint  = "http://169.254.169.254"
	containerEndpoint = "http://169.254.170.2"
)

// baseTransport opens a connection for each request and keeps none.
func baseTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		DisableKeepAlives:   true,
	}
}

// local speaks to link-local services, which no proxy can reach, and follows no
// redirect away from them.
func local(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     baseTransport(),
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// metadataAnswer is what the container and instance services both return.
type metadataAnswer struct {
	Code            string // instances only
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      time.Time
}

func (a metadataAnswer) value() (Value, error) {
	if a.Code != "" && a.Code != "Success" || a.AccessKeyID == "" || a.SecretAccessKey == "" {
		return Value{}, fmt.Errorf("the answer has no credentials (code %q)", printable(a.Code))
	}
	return Value{AccessKey: a.AccessKeyID, SecretKey: a.SecretAccessKey, Token: a.Token, Expires: a.Expiration}, nil
}

// fromContainer asks the agent of ECS, or of EKS pod identity.
func (o Options) fromContainer(ctx context.Context) (Value, error) {
	endpoint := o.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if rel := o.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); rel != "" {
		if !strings.HasPrefix(rel, "/") {
			return Value{}, errors.New("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /")
		}
		endpoint = containerEndpoint + rel
	}
	if endpoint == "" {
		return Value{}, errNothing
	}
	if err := checkContainer(endpoint); err != nil {
		return Value{}, err
	}
	token := o.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file := o.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
		var err error
		if token, err = readToken(file); err != nil {
			return Value{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return Value{}, err
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	return askMetadata(local(containerTime), req)
}

// checkContainer refuses to send the token in clear to anything but this host
// or the addresses of the two agents
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).
func checkContainer(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return fmt.Errorf("container credentials URI: %w", err)
	}
	if u.Scheme == "https" {
		return nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	known := u.Hostname() == "localhost" || err == nil && (ip.IsLoopback() ||
		ip == netip.MustParseAddr("169.254.170.2") || ip == netip.MustParseAddr("169.254.170.23") || ip == netip.MustParseAddr("fd00:ec2::23"))
	if u.Scheme != "http" || !known {
		return fmt.Errorf("container credentials URI %s://%s is neither https nor local", u.Scheme, u.Host)
	}
	return nil
}

// fromInstance asks the EC2 instance metadata service, version 2 only.
func (o Options) fromInstance(ctx context.Context) (Value, error) {
	base := o.Lookup("AWS_EC2_METADATA_SERVICE_ENDPOINT")
	if base == "" {
		base = instanceEndpoint
	}
	base = strings.TrimSuffix(base, "/")
	switch {
	case o.Prefix != "":
		return Value{}, fmt.Errorf("%w: it is not for a second storage", errNothing)
	case strings.EqualFold(o.Lookup("AWS_EC2_METADATA_DISABLED"), "true"):
		return Value{}, fmt.Errorf("%w: AWS_EC2_METADATA_DISABLED is set", errNothing)
	case !o.awsEndpoint():
		return Value{}, fmt.Errorf("%w: not offered to an endpoint other than AWS", errNothing)
	}
	client := local(instanceTime)
	session, err := http.NewRequestWithContext(ctx, http.MethodPut, base+"/latest/api/token", nil)
	if err != nil {
		return Value{}, err
	}
	session.Header.Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
	token, err := fetch(client, session)
	if err != nil {
		if ctx.Err() != nil {
			return Value{}, ctx.Err()
		}
		return Value{}, fmt.Errorf("%w: no metadata service answers at %s", errNothing, base)
	}
	get := func(path string) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/latest/meta-data/iam/security-credentials/"+path, nil)
		if err == nil {
			req.Header.Set("X-Aws-Ec2-Metadata-Token", strings.TrimSpace(string(token)))
		}
		return req, err
	}
	req, err := get("")
	if err != nil {
		return Value{}, err
	}
	names, err := fetch(client, req)
	if errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
		return Value{}, err
	}
	name, _, _ := strings.Cut(strings.TrimSpace(string(names)), "\n")
	if err != nil || name == "" {
		return Value{}, fmt.Errorf("%w: the instance has no role", errNothing)
	}
	if req, err = get(url.PathEscape(strings.TrimSpace(name))); err != nil {
		return Value{}, err
	}
	return askMetadata(client, req)
}

func askMetadata(client *http.Client, req *http.Request) (Value, error) {
	body, err := fetch(client, req)
	if err != nil {
		return Value{}, err
	}
	var answer metadataAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return Value{}, errors.New("unreadable answer")
	}
	return answer.value()
}
