// Package azblob is a store in a container of Azure Blob Storage. What is there is
// never overwritten (If-None-Match: *); erasing takes every version and snapshot
// of a blob along, and tells which ones the account retains.
//
// Versions are called what Azure calls them, by time; a snapshot's name is
// "snapshot=" and its time, and what a soft delete retains, "deleted=" and the
// time.
//
// An account with a hierarchical namespace is measured unfit: its listings are not
// in bytewise order.
package azblob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aivault/aivault/backends"
)

// Options says which container to open, and how.
type Options struct {
	Location    string // https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]
	Credentials Credentials
	Create      bool             // make the container if it is not there
	Now         func() time.Time // this machine's clock
}

// Store is a container, or the part of one that has a prefix.
type Store struct {
	container *container.Client
	http      *http.Client
	location  location
	expires   time.Time // of a shared access signature; zero: never, or unknown
	now       func() time.Time
}

// connections are kept for as many requests at once.
const connections = 64

// Open opens a container. Without Create it asks nothing of it.
func Open(ctx context.Context, o Options) (*Store, error) {
	l, err := parseLocation(o.Location)
	if err != nil {
		return nil, &backends.Error{Op: "open", Key: "container", Kind: backends.Invalid, Err: err}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = connections, connections
	s := &Store{http: &http.Client{Transport: transport}, location: l, now: o.Now}
	if s.container, err = s.client(l, o.Credentials); err != nil {
		return nil, &backends.Error{Op: "open", Key: l.container, Kind: backends.Denied, Err: err}
	}
	if o.Create {
		if _, err := s.container.Create(ctx, nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
			return nil, s.fail(ctx, "open", l.container, err, read)
		}
	}
	return s, nil
}

// Close closes idle connections.
func (s *Store) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

func (s *Store) client(l location, c Credentials) (*container.Client, error) {
	// The SDK repeats reads; a put it sends once (see put).
	o := &container.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: s.http, Retry: policy.RetryOptions{MaxRetries: 3, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 5 * time.Second},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}}
	account, key, sas, err := c.resolve(l.account)
	switch {
	case err != nil:
		return nil, err
	case sas != "":
		query, err := url.ParseQuery(sas)
		if err != nil || query.Get("sig") == "" {
			return nil, errors.New("the shared access signature is none")
		}
		s.expires, _ = time.Parse(time.RFC3339, query.Get("se")) // one without a date is bound to a stored policy
		return container.NewClientWithNoCredential(l.container+"?"+sas, o)
	case key != "":
		shared, err := container.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, errors.New("the account's key is no base64")
		}
		return container.NewClientWithSharedKeyCredential(l.container, shared, o)
	}
	token, err := identity()
	if err != nil {
		return nil, err
	}
	return container.NewClient(l.container, token, o)
}

// identity is the one that Azure gives this process. The command line of Azure,
// which others ask as well, is not there for a plugin: it has no PATH.
func identity() (azcore.TokenCredential, error) {
	var chain []azcore.TokenCredential
	if c, err := azidentity.NewEnvironmentCredential(nil); err == nil {
		chain = append(chain, c)
	}
	if c, err := azidentity.NewWorkloadIdentityCredential(nil); err == nil {
		chain = append(chain, c)
	}
	managed, err := azidentity.NewManagedIdentityCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("managed identity: %w", err)
	}
	return azidentity.NewChainedTokenCredential(append(chain, managed), nil)
}

// name is that of a key's blob.
func (s *Store) name(key string) string { return s.location.prefix + key }
