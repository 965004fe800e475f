package integration_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3"
	"github.com/aivault/aivault/integration/servers"
)

// lab is a bucket behind a proxy whose faults a test can switch.
type lab struct {
	direct, faulty *s3.Store
	plan           atomic.Pointer[func(n int, r *http.Request) servers.Fault]
	faults         *servers.Faults
	proxy          *servers.S3
}

func newLab(t *testing.T, o servers.Options, change ...func(*s3.Config)) *lab {
	t.Helper()
	server := servers.VersityGW(t, o)
	server.MakeBucket(t, "vault", o.Versioning, false)
	l := &lab{direct: openS3(t, server, "vault", "p")}
	l.set(func(int, *http.Request) servers.Fault { return servers.Fault{} })
	l.proxy, l.faults = servers.Proxy(t, server, func(n int, r *http.Request) servers.Fault { return (*l.plan.Load())(n, r) })
	l.faulty = openS3(t, l.proxy, "vault", "p", change...)
	return l
}

func (l *lab) set(plan func(n int, r *http.Request) servers.Fault) { l.plan.Store(&plan) }

// always does the same to every request of a method.
func (l *lab) always(method string, f servers.Fault) {
	l.set(func(_ int, r *http.Request) servers.Fault {
		if r.Method == method {
			return f
		}
		return servers.Fault{}
	})
}

// once does it to the next request of a method.
func (l *lab) once(method string, f servers.Fault) {
	var done atomic.Bool
	l.set(func(_ int, r *http.Request) servers.Fault {
		if r.Method == method && !done.Swap(true) {
			return f
		}
		return servers.Fault{}
	})
}

func (l *lab) read(t *testing.T, key string) ([]byte, error) {
	t.Helper()
	r, _, err := l.direct.Get(t.Context(), backends.Ref{Key: key}, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func overTransports(t *testing.T, run func(t *testing.T, o servers.Options)) {
	for _, v := range s3Servers {
		if v.options.Versioning {
			t.Run(v.name, func(t *testing.T) { run(t, v.options) })
		}
	}
}

// What a put says when something breaks is true of what is stored.
func TestS3PutFaults(t *testing.T) {
	overTransports(t, func(t *testing.T, o servers.Options) {
		l := newLab(t, o)
		for _, test := range []struct {
			key    string
			fault  servers.Fault
			want   backends.Kind
			stored bool
		}{
			{"answer-lost", servers.Fault{DropResponse: true}, backends.Indeterminate, true},
			{"empty", servers.Fault{DropResponse: true}, backends.Indeterminate, true},
			{"request-lost", servers.Fault{DropRequest: true}, backends.Indeterminate, false},
			{"internal-error", servers.Fault{Status: 500, Code: "InternalError"}, backends.Indeterminate, false},
			{"bad-gateway", servers.Fault{Status: 502}, backends.Indeterminate, false},
			{"conflict", servers.Fault{Status: 409, Code: "ConditionalRequestConflict"}, backends.Indeterminate, false},
			{"slow-down", servers.Fault{Status: 503, Code: "SlowDown", Header: http.Header{"Retry-After": {"3"}}}, backends.Unavailable, false},
			{"expired", servers.Fault{Status: 400, Code: "ExpiredToken"}, backends.Denied, false},
		} {
			body := bytes.Repeat([]byte(test.key), 10_000)
			if test.key == "empty" {
				body = nil // whether a byte left is then a matter of the headers
			}
			l.once(http.MethodPut, test.fault)
			_, err := l.faulty.Put(t.Context(), test.key, body)
			var e *backends.Error
			if !errors.As(err, &e) || e.Kind != test.want || (e.RetryAfter != 0) != (test.key == "slow-down") || e.Expired != (test.key == "expired") {
				t.Errorf("%s: %v", test.key, err)
			}
			got, err := l.read(t, test.key)
			if test.stored && !bytes.Equal(got, body) || !test.stored && !errors.Is(err, backends.NotExist) {
				t.Errorf("%s: afterwards %d bytes, %v", test.key, len(got), err)
			}
			// The rule for callers: read; equal is mine, absent means send the same.
			_, err = l.faulty.Put(t.Context(), test.key, body)
			if test.stored != errors.Is(err, backends.Exists) || !test.stored && err != nil {
				t.Errorf("%s: the same again: %v", test.key, err)
			}
		}
	})
}

// Reading and erasing go on by themselves after what a put must not repeat.
func TestS3ReadFaults(t *testing.T) {
	overTransports(t, func(t *testing.T, o servers.Options) {
		l := newLab(t, o)
		body := bytes.Repeat([]byte("0123456789"), 100_000)
		if _, err := l.direct.Put(t.Context(), "k", body); err != nil {
			t.Fatal(err)
		}
		for name, fault := range map[string]servers.Fault{
			"request lost": {DropRequest: true},
			"answer lost":  {DropResponse: true},
			"bad gateway":  {Status: 502},
			"error":        {Status: 500, Code: "InternalError"},
			"slow":         {Pause: 20 * time.Millisecond},
		} {
			l.once(http.MethodGet, fault)
			r, _, err := l.faulty.Get(t.Context(), backends.Ref{Key: "k"}, 5, 10)
			if err != nil {
				t.Errorf("get, %s: %v", name, err)
				continue
			}
			if got, err := io.ReadAll(r); string(got) != "5678901234" || err != nil {
				t.Errorf("get, %s: %q, %v", name, got, err)
			}
			r.Close()
			for _, versions := range []bool{false, true} {
				l.once(http.MethodGet, fault)
				n := 0
				for in, err := range l.faulty.List(t.Context(), "", backends.ListOptions{Versions: versions}) {
					if n++; err != nil || in.Key != "k" {
						t.Errorf("list, %s: %+v, %v", name, in, err)
					}
				}
				if n != 1 {
					t.Errorf("list, %s: %d results", name, n)
				}
			}
			if _, err := l.direct.Put(t.Context(), "gone", nil); err != nil {
				t.Fatal(err)
			}
			l.once(http.MethodPost, fault)
			if _, err := l.faulty.Erase(t.Context(), "gone"); err != nil {
				t.Errorf("erase, %s: %v", name, err)
			}
			if _, err := l.read(t, "gone"); !errors.Is(err, backends.NotExist) {
				t.Errorf("erase, %s: afterwards %v", name, err)
			}
		}

		l.once(http.MethodGet, servers.Fault{Truncate: 500_000})
		r, in, err := l.faulty.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if in.Size != int64(len(body)) || !bytes.HasPrefix(body, got) || len(got) >= len(body) || backends.KindOf(err) != backends.Unavailable {
			t.Errorf("cut off: %d bytes, %v", len(got), err)
		}

		l.always(http.MethodGet, servers.Fault{Header: http.Header{"Content-Range": {"bytes 6-15/1000000"}}})
		if _, _, err := l.faulty.Get(t.Context(), backends.Ref{Key: "k"}, 5, 10); backends.KindOf(err) != backends.Corrupt {
			t.Errorf("another range: %v", err)
		}
	})
}

// A server from which nothing comes does not hold anybody for ever.
func TestS3Hangs(t *testing.T) {
	overTransports(t, func(t *testing.T, o servers.Options) {
		l := newLab(t, o, func(c *s3.Config) { c.Stall = 200 * time.Millisecond })
		l.set(func(int, *http.Request) servers.Fault { return servers.Fault{Hang: true} })
		body := make([]byte, 4<<20)
		_, perr := l.faulty.Put(t.Context(), "k", body)
		_, _, gerr := l.faulty.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		_, eerr := l.faulty.Erase(t.Context(), "k")
		for op, got := range map[string]error{"put": perr, "get": gerr, "erase": eerr} {
			if !errors.Is(got, s3.ErrStalled) || !strings.Contains(got.Error(), "no progress for 200ms") {
				t.Errorf("%s: %v", op, got)
			}
		}
		if backends.KindOf(perr) != backends.Indeterminate || backends.KindOf(gerr) != backends.Unavailable {
			t.Errorf("put: %v; get: %v", perr, gerr)
		}
	})
}

// Nor does one that hangs, or trickles, in the middle of a body; but a link that
// is merely slow is waited for.
func TestS3StallsWithinABody(t *testing.T) {
	l := newLab(t, servers.Options{}, func(c *s3.Config) { c.Stall = 800 * time.Millisecond })
	body := bytes.Repeat([]byte("0123456789abcdef"), 3<<20/16)
	if _, err := l.direct.Put(t.Context(), "there", body); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		r, _, err := l.faulty.Get(t.Context(), backends.Ref{Key: "there"}, 0, -1)
		if err != nil {
			return err
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(got, body) {
			t.Error("other bytes were read")
		}
		return err
	}
	for i, test := range []struct {
		name string
		pace servers.Pace
		want error
	}{
		{"hangs", servers.Pace{After: 1 << 20, Break: 3 * time.Second}, s3.ErrStalled},
		{"trickles", servers.Pace{After: 1 << 20, Amount: 10, Pause: 50 * time.Millisecond, Break: 3 * time.Second}, s3.ErrStalled},
		{"slow", servers.Pace{Amount: 32 << 10, Pause: 20 * time.Millisecond}, nil},
	} {
		l.always(http.MethodGet, servers.Fault{ResponsePace: &test.pace})
		if err := read(); !errors.Is(err, test.want) {
			t.Errorf("get, %s: %v", test.name, err)
		}
		l.always(http.MethodPut, servers.Fault{RequestPace: &test.pace})
		_, err := l.faulty.Put(t.Context(), "put"+string(rune('0'+i)), body)
		if !errors.Is(err, test.want) || test.want != nil && backends.KindOf(err) != backends.Indeterminate {
			t.Errorf("put, %s: %v", test.name, err)
		}
	}
}

func TestS3NobodyThere(t *testing.T) {
	l := newLab(t, servers.Options{})
	gone := *l.proxy
	gone.Endpoint = "127.0.0.1:1"
	store := openS3(t, &gone, "vault", "")
	if _, err := store.Put(t.Context(), "k", make([]byte, 1<<20)); backends.KindOf(err) != backends.Unavailable {
		t.Errorf("put: %v", err)
	}
	if _, _, err := store.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1); backends.KindOf(err) != backends.Unavailable {
		t.Errorf("get: %v", err)
	}
}

// Writers whose answers get lost still agree on one winner, by the rule that
// each reads what is there.
func TestS3RaceWithLostAnswers(t *testing.T) {
	l := newLab(t, servers.Options{})
	l.set(func(n int, r *http.Request) servers.Fault {
		return servers.Fault{DropResponse: r.Method == http.MethodPut && n%2 == 0, DropRequest: r.Method == http.MethodPut && n%5 == 0}
	})
	for round := range 5 {
		key := "slot" + string(rune('0'+round))
		var wins atomic.Int32
		var wg sync.WaitGroup
		for writer := range 8 {
			wg.Go(func() {
				body := bytes.Repeat([]byte{byte('a' + writer)}, 2000)
				for range 50 {
					_, err := l.faulty.Put(t.Context(), key, body)
					if err == nil {
						wins.Add(1)
						return
					}
					got, rerr := l.read(t, key)
					switch {
					case rerr == nil && bytes.Equal(got, body):
						wins.Add(1)
						return
					case rerr == nil:
						return
					case !errors.Is(rerr, backends.NotExist):
						t.Error(rerr)
						return
					}
				}
				t.Error("fifty attempts")
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%s: %d winners", key, wins.Load())
		}
	}
}
