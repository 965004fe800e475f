package azblob

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/aivault/aivault/backends"
)

// location is a container, and the prefix of the names in it that are a vault's.
type location struct {
	account   string
	container string // its URL
	prefix    string // empty, or ends in '/'
}

// parseLocation reads https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX].
// Where the host is an address or localhost, as an emulator's is, the account is
// the first segment of the path; there alone plain HTTP is spoken.
func parseLocation(text string) (location, error) {
	bad := func(why string) (location, error) {
		return location{}, fmt.Errorf("%s; it is https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]: %w", why, backends.Invalid)
	}
	u, err := url.Parse(text)
	if err != nil {
		return bad("the location is no URL") // its text may hold a secret
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return bad("the location has more than a path, and no secret may stand in it")
	case u.Scheme == "http" && u.Hostname() != "localhost" && !ip.IsLoopback():
		return bad("plain HTTP is for this machine alone")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return bad("the location is no https URL")
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	l, base := location{}, u.Scheme+"://"+u.Host
	if l.account, _, _ = strings.Cut(u.Hostname(), "."); ip != nil || u.Hostname() == "localhost" {
		l.account, parts = parts[0], parts[1:]
		base += "/" + l.account
	}
	if len(parts) == 0 || parts[0] == "" || l.account == "" {
		return bad("the location names no container")
	}
	l.container = base + "/" + parts[0]
	if len(parts) > 1 {
		l.prefix = strings.Join(parts[1:], "/")
		if backends.CheckKey(l.prefix) != nil {
			return bad("the prefix has other characters than [a-z0-9/.-]")
		}
		l.prefix += "/"
	}
	return l, nil
}

// Credentials says who opens a container. The first of its fields that is set
// counts; with none, the identity that Azure gives this process does: the usual
// variables (AZURE_TENANT_ID, AZURE_CLIENT_ID, and a secret or certificate), a
// workload's token file, or the machine's managed identity.
type Credentials struct {
	ConnectionString string // of it, only the key or the signature
	SAS              string // a shared access signature
	Key              string // of the account, in base64
}

// resolve returns the key and the name of its account, or the signature.
func (c Credentials) resolve(account string) (name, key, sas string, err error) {
	if c.ConnectionString == "" {
		return account, c.Key, strings.TrimPrefix(c.SAS, "?"), nil
	}
	fields := map[string]string{}
	for f := range strings.SplitSeq(c.ConnectionString, ";") {
		if k, v, ok := strings.Cut(f, "="); ok {
			fields[strings.TrimSpace(k)] = v
		}
	}
	if fields["AccountKey"]+fields["SharedAccessSignature"] == "" {
		return "", "", "", errors.New("the connection string has neither AccountKey nor SharedAccessSignature")
	}
	if n := fields["AccountName"]; n != "" {
		account = n
	}
	return account, fields["AccountKey"], fields["SharedAccessSignature"], nil
}
