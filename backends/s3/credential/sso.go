package credential

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// fromSSO exchanges the token that `aws sso login` left for the profile's role
// credentials. It does not log in, nor renew that token.
func (o Options) fromSSO(ctx context.Context, p map[string]string, sessions sections) (Value, error) {
	account, roleName, region := p["sso_account_id"], p["sso_role_name"], p["sso_region"]
	if account == "" || roleName == "" {
		return Value{}, errors.New("SSO needs sso_account_id and sso_role_name")
	}
	cached := p["sso_start_url"]
	if name := p["sso_session"]; name != "" {
		session, ok := sessions[name]
		if !ok {
			return Value{}, fmt.Errorf("there is no [sso-session %s]", name)
		}
		for _, key := range []string{"sso_region", "sso_start_url"} {
			if p[key] != "" && p[key] != session[key] {
				return Value{}, fmt.Errorf("%s differs between the profile and [sso-session %s]", key, name)
			}
		}
		cached, region = name, session["sso_region"]
	}
	if region == "" {
		return Value{}, errors.New("SSO needs sso_region")
	}
	token, err := o.ssoToken(cached)
	if err != nil {
		return Value{}, err
	}

	portal := o.location("AWS_ENDPOINT_URL_SSO")
	if portal == "" {
		portal = "https://portal.sso." + region + ".amazonaws.com"
		if strings.HasPrefix(region, "cn-") {
			portal += ".cn"
		}
	}
	query := url.Values{"account_id": {account}, "role_name": {roleName}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, portal+"/federation/credentials?"+query.Encode(), nil)
	if err != nil {
		return Value{}, err
	}
	req.Header.Set("X-Amz-Sso_bearer_token", token)
	body, err := fetch(o.client(), req)
	if err != nil {
		return Value{}, fmt.Errorf("SSO portal: %w (`aws sso login` renews a session that was ended)", err)
	}
	var answer struct {
		RoleCredentials struct {
			AccessKeyID     string `json:"accessKeyId"`
			SecretAccessKey string `json:"secretAccessKey"`
			SessionToken    string `json:"sessionToken"`
			Expiration      int64  `json:"expiration"` // milliseconds since 1970
		} `json:"roleCredentials"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Value{}, fmt.Errorf("SSO portal: unreadable answer: %w", err)
	}
	c := answer.RoleCredentials
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return Value{}, errors.New("SSO portal: the answer has no credentials")
	}
	return Value{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, Token: c.SessionToken, Expires: time.UnixMilli(c.Expiration)}, nil
}

// ssoToken reads the token cached under the SHA-1 of the session's name, or of
// the start URL for profiles without one.
func (o Options) ssoToken(cached string) (string, error) {
	if cached == "" {
		return "", errors.New("SSO needs sso_session or sso_start_url")
	}
	sum := sha1.Sum([]byte(cached))
	file := filepath.Join(o.home(), ".aws", "sso", "cache", hex.EncodeToString(sum[:])+".json")
	data, err := readBounded(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: not logged in to SSO; run `aws sso login`", ErrExpired)
	}
	if err != nil {
		return "", err
	}
	var token struct {
		AccessToken string    `json:"accessToken"`
		ExpiresAt   time.Time `json:"expiresAt"`
	}
	if err := json.Unmarshal(data, &token); err != nil {
		return "", fmt.Errorf("SSO token in %s: %w", file, err)
	}
	if token.AccessToken == "" || !o.Now().Before(token.ExpiresAt) {
		return "", fmt.Errorf("%w: the SSO session has ended; run `aws sso login`", ErrExpired)
	}
	return token.AccessToken, nil
}
