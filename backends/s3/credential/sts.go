package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// role is what to ask the Security Token Service for.
type role struct {
	arn        string
	session    string // who did it, in the audit trail
	externalID string
	region     string
	duration   time.Duration // zero: the service's default
}

// form is the part of a request that both actions share.
func (r role) form(action string) url.Values {
	f := url.Values{"Action": {action}, "Version": {"2011-06-15"}, "RoleArn": {r.arn}, "RoleSessionName": {r.session}}
	if r.session == "" {
		f.Set("RoleSessionName", "aivault")
	}
	if r.duration > 0 {
		f.Set("DurationSeconds", strconv.Itoa(int(r.duration/time.Second)))
	}
	return f
}

// assumeRole is AssumeRole, signed with source.
func (o Options) assumeRole(ctx context.Context, source Value, r role) (Value, error) {
	f := r.form("AssumeRole")
	if r.externalID != "" {
		f.Set("ExternalId", r.externalID)
	}
	return o.askSTS(ctx, f, r, &source)
}

// assumeWithToken is AssumeRoleWithWebIdentity, for which the token vouches.
func (o Options) assumeWithToken(ctx context.Context, file string, r role) (Value, error) {
	token, err := readToken(file)
	if err != nil {
		return Value{}, err
	}
	f := r.form("AssumeRoleWithWebIdentity")
	f.Set("WebIdentityToken", token)
	return o.askSTS(ctx, f, r, nil)
}

func (o Options) stsEndpoint(region string) string {
	if e := o.location("AWS_ENDPOINT_URL_STS"); e != "" {
		return e
	}
	host := "https://sts." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	return host + "/"
}

type stsAnswer struct {
	Credentials struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      time.Time
	}
}

func (o Options) askSTS(ctx context.Context, form url.Values, r role, source *Value) (Value, error) {
	region := r.region
	if region == "" {
		region = "us-east-1"
	}
	body := form.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.stsEndpoint(region), strings.NewReader(body))
	if err != nil {
		return Value{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if source != nil {
		sum := sha256.Sum256([]byte(body))
		req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		if source.Token != "" {
			req.Header.Set("X-Amz-Security-Token", source.Token)
		}
		req = signer.SignV4STS(*req, source.AccessKey, source.SecretKey, region)
	}
	answer, err := fetch(o.client(), req)
	if err != nil {
		return Value{}, fmt.Errorf("assuming role %s: %w", r.arn, err)
	}
	var x struct {
		Role     stsAnswer `xml:"AssumeRoleResult"`
		Identity stsAnswer `xml:"AssumeRoleWithWebIdentityResult"`
	}
	if err := xml.Unmarshal(answer, &x); err != nil {
		return Value{}, fmt.Errorf("assuming role %s: the answer is not what STS says: %w", r.arn, err)
	}
	c := x.Role.Credentials
	if source == nil {
		c = x.Identity.Credentials
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return Value{}, fmt.Errorf("assuming role %s: the answer has no credentials", r.arn)
	}
	return Value{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, Token: c.SessionToken, Expires: c.Expiration}, nil
}

// fetch returns the body of a 200 answer. Of any other answer the code that an
// AWS error carries decides between [ErrExpired], [ErrUnavailable] and neither.
func fetch(c *http.Client, req *http.Request) ([]byte, error) {
	resp, err := c.Do(req)
	if err != nil {
		if ctx := req.Context(); ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	var x struct {
		Code string `xml:"Error>Code"`
	}
	_ = xml.Unmarshal(body, &x) // an answer without a code is told by its status alone
	err = errors.New(strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, printable(x.Code))))
	switch {
	case strings.HasPrefix(x.Code, "ExpiredToken"):
		return nil, fmt.Errorf("%w: %w", ErrExpired, err)
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, x.Code == "Throttling":
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil, err
}

// printable keeps what a service calls an error fit for a terminal and a log.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 100)]
}
