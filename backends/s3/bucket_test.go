package s3

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aivault/aivault/backends"
)

// What a bucket is configured to do with objects under the prefix "p/".
func TestProbeReadsSettings(t *testing.T) {
	lifecycle := func(rule string) string {
		return "<LifecycleConfiguration><Rule><ID>r</ID>" + rule + "</Rule></LifecycleConfiguration>"
	}
	const on, expire = "<Status>Enabled</Status>", "<Expiration><Days>30</Days></Expiration>"
	for _, test := range []struct {
		name, document string
		status         int
		want           backends.Capabilities
		note           string
	}{
		{"no rules", "<Error><Code>NoSuchLifecycleConfiguration</Code></Error>", 404, backends.Capabilities{}, ""},
		{"whole bucket", lifecycle(on + "<Filter></Filter>" + expire), 200, backends.Capabilities{ExpiryRule: true}, "expires"},
		{"whole bucket, old format", lifecycle(on + "<Prefix></Prefix>" + expire), 200, backends.Capabilities{ExpiryRule: true}, "expires"},
		{"by date", lifecycle(on + "<Filter/><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>"), 200, backends.Capabilities{ExpiryRule: true}, "expires"},
		{"this prefix", lifecycle(on + "<Filter><Prefix>p/</Prefix></Filter>" + expire), 200, backends.Capabilities{ExpiryRule: true}, "expires"},
		{"a shorter prefix", lifecycle(on + "<Prefix>p</Prefix>" + expire), 200, backends.Capabilities{ExpiryRule: true}, "expires"},
		{"a longer prefix", lifecycle(on + "<Filter><Prefix>p/a/</Prefix></Filter>" + expire), 200, backends.Capabilities{ExpiryRule: true}, "expires"},
		{"by size", lifecycle(on + "<Filter><And><Prefix>p/</Prefix><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter>" + expire), 200, backends.Capabilities{ExpiryRule: true}, "expires"},
		{"another prefix", lifecycle(on + "<Filter><Prefix>q/</Prefix></Filter>" + expire), 200, backends.Capabilities{}, ""},
		{"another prefix and size", lifecycle(on + "<Filter><And><Prefix>q</Prefix><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter>" + expire), 200, backends.Capabilities{}, ""},
		{"tagged objects", lifecycle(on + "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>" + expire), 200, backends.Capabilities{}, ""},
		{"tagged objects and prefix", lifecycle(on + "<Filter><And><Prefix>p/</Prefix><Tag><Key>k</Key></Tag></And></Filter>" + expire), 200, backends.Capabilities{}, ""},
		{"switched off", lifecycle("<Status>Disabled</Status><Filter/>" + expire), 200, backends.Capabilities{}, ""},
		{"markers alone", lifecycle(on + "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"), 200, backends.Capabilities{}, ""},
		{"old versions alone", lifecycle(on + "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"), 200, backends.Capabilities{}, ""},
		{"uploads alone", lifecycle(on + "<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), 200, backends.Capabilities{}, ""},
		{"archive", lifecycle(on + "<Filter/><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"), 200, backends.Capabilities{}, "moves objects to GLACIER"},
		{"not allowed to know", "<Error><Code>AccessDenied</Code></Error>", 403, backends.Capabilities{}, "lifecycle rules: not measured"},
		{"not known", "<Error><Code>NotImplemented</Code></Error>", 501, backends.Capabilities{}, "lifecycle rules: not measured"},
		{"answered with a listing", "<ListBucketResult></ListBucketResult>", 200, backends.Capabilities{}, "lifecycle rules: not measured"},
	} {
		caps := settings(t, "lifecycle", test.status, test.document)
		if caps.ExpiryRule != test.want.ExpiryRule {
			t.Errorf("%s: expiry rule: %v", test.name, caps.ExpiryRule)
		}
		if notes := strings.Join(caps.Notes, "; "); !strings.Contains(notes, test.note) || test.note == "" && strings.Contains(notes, "lifecycle") {
			t.Errorf("%s: notes %q, want %q", test.name, notes, test.note)
		}
	}

	rule := "<Rule><Status>Enabled</Status><Priority>1</Priority><Filter><Prefix></Prefix></Filter><Destination><Bucket>b</Bucket></Destination></Rule>"
	for document, want := range map[string]bool{
		"<ReplicationConfiguration><Role>r</Role>" + rule + "</ReplicationConfiguration>":                                               true,
		"<ReplicationConfiguration>" + strings.ReplaceAll(rule, "Enabled", "Disabled") + "</ReplicationConfiguration>":                  false,
		"<ReplicationConfiguration>" + strings.ReplaceAll(rule, "<Prefix>", "<Prefix>elsewhere") + rule + "</ReplicationConfiguration>": true,
		"<ReplicationConfiguration>" + strings.ReplaceAll(rule, "<Prefix>", "<Prefix>elsewhere") + "</ReplicationConfiguration>":        false,
	} {
		if got := settings(t, "replication", 200, document).Replicated; got != want {
			t.Errorf("replicated: %v for %s", got, document)
		}
	}
	for document, want := range map[string]bool{
		"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>":   true,
		"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>": true,
		"<VersioningConfiguration/>": false,
	} {
		if got := settings(t, "versioning", 200, document).Versioned; got != want {
			t.Errorf("versioned: %v for %s", got, document)
		}
	}
	for document, want := range map[string]bool{
		"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>1</Years></DefaultRetention></Rule></ObjectLockConfiguration>": true,
		"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>":                                                                                          false,
	} {
		caps := settings(t, "object-lock", 200, document)
		if caps.Locked != want || !strings.Contains(strings.Join(caps.Notes, ";"), "may not place a legal hold") {
			t.Errorf("locked: %v, %q for %s", caps.Locked, caps.Notes, document)
		}
	}
}

// settings runs the probe's steps that read settings, on a store that answers
// one question so and refuses every other.
func settings(t *testing.T, what string, status int, document string) backends.Capabilities {
	t.Helper()
	var caps backends.Capabilities
	p := &probe{caps: &caps, dir: "probe/x/", Store: open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		if query, err := url.ParseQuery(r.URL.RawQuery); err == nil && query.Has(what) {
			return answerWith(status, nil, document), nil
		}
		return answerWith(403, nil, "<Error><Code>AccessDenied</Code></Error>"), nil
	}))}
	object := backends.Info{Ref: backends.Ref{Key: "probe/x/object", Version: nullVersion}}
	for _, step := range []func() error{
		func() error { return p.expiry(t.Context(), object) },
		func() error { return p.copies(t.Context(), object) },
		func() error { return p.oldVersions(t.Context(), object) },
		func() error { return p.locks(t.Context(), object) },
	} {
		if err := step(); err != nil {
			t.Errorf("%s: %v", document, err)
		}
	}
	return caps
}

// A version that an answer to a deletion does not mention was not deleted.
func TestEraseBelievesNoSilence(t *testing.T) {
	f := &fake{page: 10, objects: []fakeObject{{key: "p/k", version: "null"}}}
	for answer, want := range map[string]backends.Kind{
		"<DeleteResult></DeleteResult>":                                                                                     backends.Unavailable,
		"<DeleteResult><Deleted><Key>p/other</Key></Deleted></DeleteResult>":                                                backends.Unavailable,
		"<DeleteResult><Deleted><Key>p/k</Key><VersionId>other</VersionId></Deleted></DeleteResult>":                        backends.Unavailable,
		"<DeleteResult><Error><Key>p/k</Key><VersionId>null</VersionId><Code>AccessDenied</Code></Error></DeleteResult>":    backends.Denied,
		"<DeleteResult><Error><Key>p/k</Key><VersionId>null</VersionId><Code>InvalidArgument</Code></Error></DeleteResult>": backends.Invalid,
		"<DeleteResult><Error><Key>p/k</Key><Code>NoSuchVersion</Code></Error></DeleteResult>":                              0,
		"<DeleteResult><Deleted><Key>p/k</Key></Deleted></DeleteResult>":                                                    0,
		"<DeleteResult><Deleted><Key>p/k</Key><VersionId>null</VersionId></Deleted></DeleteResult>":                         0,
		"<html>": backends.Corrupt,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPost {
					return answerWith(200, nil, answer), nil
				}
				return f.RoundTrip(r)
			}))
			if _, err := s.Erase(t.Context(), "k"); backends.KindOf(err) != want {
				t.Errorf("%s: %v", answer, err)
			}
		})
	}
}

// A version that the store could not delete just now is tried again, and no other.
func TestEraseRepeatsWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{page: 10, objects: []fakeObject{{key: "p/a", version: "null"}, {key: "p/b", version: "null"}}}
		var asked []string
		s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodPost {
				return f.RoundTrip(r)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			if asked = append(asked, string(body)); len(asked) < 3 {
				return answerWith(200, nil, "<DeleteResult><Deleted><Key>p/a</Key><VersionId>null</VersionId></Deleted>"+
					"<Error><Key>p/b</Key><VersionId>null</VersionId><Code>InternalError</Code></Error></DeleteResult>"), nil
			}
			return answerWith(200, nil, "<DeleteResult><Deleted><Key>p/b</Key><VersionId>null</VersionId></Deleted></DeleteResult>"), nil
		}))
		if kept, err := s.Erase(t.Context(), "a", "b"); err != nil || len(kept) > 0 {
			t.Errorf("erase: %v, %v", kept, err)
		}
		if len(asked) != 3 || !strings.Contains(asked[0], "p/a") || strings.Contains(asked[1], "p/a") {
			t.Errorf("asked %q", asked)
		}
	})
}
