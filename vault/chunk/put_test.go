package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/vault/chunk"
)

const key = "a/b"

func read(t *testing.T, s backends.Store) string {
	t.Helper()
	r, _, err := s.Get(t.Context(), backends.Ref{Key: key}, 0, -1)
	if errors.Is(err, backends.NotExist) {
		return "nothing"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPutResolvesDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		decide func(backendtest.Call) backendtest.Fault
		puts   int
	}{
		"no fault":                      {nil, 1},
		"stored, unknown":               {backendtest.FailNth(backendtest.Put, 1, backendtest.FailStored), 1},
		"not stored, unknown":           {backendtest.FailNth(backendtest.Put, 1, backendtest.FailLost), 2},
		"not stored":                    {backendtest.FailNth(backendtest.Put, 1, backendtest.Fail), 2},
		"stored, and the read fails":    {backendtest.Either(backendtest.FailNth(backendtest.Put, 1, backendtest.FailStored), backendtest.FailNth(backendtest.Get, 1, backendtest.Fail)), 2},
		"stored, and the read breaks":   {backendtest.Either(backendtest.FailNth(backendtest.Put, 1, backendtest.FailStored), backendtest.FailNth(backendtest.Get, 1, backendtest.Break)), 2},
		"thrice unknown, stored at two": {backendtest.Either(backendtest.FailNth(backendtest.Put, 1, backendtest.FailLost), backendtest.FailNth(backendtest.Put, 2, backendtest.FailStored)), 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				under := mem.New(mem.Options{})
				faulty := backendtest.NewFaulty(under, c.decide)
				if err := chunk.Put(t.Context(), faulty, key, []byte("sealed"), 0); err != nil {
					t.Fatal(err)
				}
				if got := read(t, under); got != "sealed" {
					t.Errorf("stored %q", got)
				}
				if puts := faulty.Calls(backendtest.Put); puts != c.puts {
					t.Errorf("%d puts, want %d", puts, c.puts)
				}
			})
		})
	}
}

func TestPutOverOtherBytes(t *testing.T) {
	for _, other := range []string{"SEALED", "seale", "sealed!", ""} {
		s := mem.New(mem.Options{})
		if _, err := s.Put(t.Context(), key, []byte(other)); err != nil {
			t.Fatal(err)
		}
		if err := chunk.Put(t.Context(), s, key, []byte("sealed"), 0); !errors.Is(err, chunk.ErrIntegrity) {
			t.Errorf("over %q: %v", other, err)
		}
		if got := read(t, s); got != other {
			t.Errorf("%q became %q", other, got)
		}
	}
}

// A store that stops early says nothing about the bytes it did not show.
func TestPutDoesNotBelieveHalfOfTheBytes(t *testing.T) {
	s := mem.New(mem.Options{})
	if _, err := s.Put(t.Context(), key, []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	faulty := backendtest.NewFaulty(s, backendtest.FailKeys(backendtest.Get, "", backendtest.Truncate))
	if err := chunk.Put(t.Context(), faulty, key, []byte("sealed"), 0); !errors.Is(err, chunk.ErrIntegrity) {
		t.Error(err)
	}
}

func TestPutOverTheSameBytes(t *testing.T) {
	s := mem.New(mem.Options{})
	for range 2 {
		if err := chunk.Put(t.Context(), s, key, []byte("sealed"), 0); err != nil {
			t.Error(err)
		}
	}
}

func TestPutPassesFinalErrors(t *testing.T) {
	for _, kind := range []backends.Kind{backends.Denied, backends.Full, backends.Invalid} {
		faulty := backendtest.NewFaulty(mem.New(mem.Options{}), func(backendtest.Call) backendtest.Fault {
			return backendtest.Fault{Mode: backendtest.Fail, Err: &backends.Error{Op: "put", Key: key, Kind: kind}}
		})
		if err := chunk.Put(t.Context(), faulty, key, nil, 0); !errors.Is(err, kind) {
			t.Errorf("%v: %v", kind, err)
		}
		if n := faulty.Calls(backendtest.Put); n != 1 {
			t.Errorf("%v: %d attempts", kind, n)
		}
	}
}

// A pusher whose credential cannot read must hear of both failures.
func TestPutInDoubtThatMayNotRead(t *testing.T) {
	faulty := backendtest.NewFaulty(mem.New(mem.Options{}), func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.Get {
			return backendtest.Fault{Mode: backendtest.Fail, Err: &backends.Error{Op: "get", Key: key, Kind: backends.Denied}}
		}
		return backendtest.Fault{Mode: backendtest.FailLost}
	})
	err := chunk.Put(t.Context(), faulty, key, nil, 0)
	if !errors.Is(err, backends.Denied) || !errors.Is(err, backends.Indeterminate) {
		t.Error(err)
	}
}

// ghost says that a key is taken, and that nothing is there.
type ghost struct{ backends.Store }

func (ghost) Put(context.Context, string, []byte) (backends.Info, error) {
	return backends.Info{}, &backends.Error{Op: "put", Key: key, Kind: backends.Exists}
}

func TestPutUnderAMarkerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := chunk.Put(t.Context(), ghost{mem.New(mem.Options{})}, key, nil, 0); !errors.Is(err, backends.Exists) {
			t.Error(err)
		}
	})
}

func TestPutGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := backendtest.NewFaulty(mem.New(mem.Options{}), backendtest.FailKeys(backendtest.Put, "", backendtest.Fail))
		start := time.Now()
		if err := chunk.Put(t.Context(), faulty, key, nil, time.Minute); !errors.Is(err, backends.Unavailable) {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("gave up after %v", took)
		}
		if n := faulty.Calls(backendtest.Put); n < 12 || n > 200 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

func TestPutWaitsAsLongAsTheStoreAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := backendtest.NewFaulty(mem.New(mem.Options{}), func(c backendtest.Call) backendtest.Fault {
			if c.N > 1 {
				return backendtest.Fault{}
			}
			return backendtest.Fault{Mode: backendtest.Fail, Err: &backends.Error{Op: "put", Key: key, Kind: backends.Unavailable, RetryAfter: 30 * time.Second}}
		})
		start := time.Now()
		if err := chunk.Put(t.Context(), faulty, key, nil, 0); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("tried again after %v", took)
		}
	})
}

func TestPutEndsWithItsContext(t *testing.T) {
	for _, mode := range []backendtest.Mode{backendtest.Hang, backendtest.Fail, backendtest.FailLost} {
		synctest.Test(t, func(t *testing.T) {
			cause := errors.New("the user's")
			ctx, cancel := context.WithCancelCause(t.Context())
			faulty := backendtest.NewFaulty(mem.New(mem.Options{}), backendtest.FailKeys(backendtest.Put, "", mode))
			time.AfterFunc(10*time.Second, func() { cancel(cause) })
			if err := chunk.Put(ctx, faulty, key, bytes.Repeat([]byte("x"), 1000), 0); !errors.Is(err, cause) {
				t.Errorf("mode %d: %v", mode, err)
			}
		})
	}
}

// An attempt on which nothing moved for as long as all of them may take is the
// last: neither another nor a look would do better.
func TestPutThatStalls(t *testing.T) {
	faulty := backendtest.NewFaulty(mem.New(mem.Options{}), func(backendtest.Call) backendtest.Fault {
		return backendtest.Fault{Mode: backendtest.Fail, Err: &backends.Error{Op: "put", Key: key, Kind: backends.Indeterminate, Stalled: true}}
	})
	if err := chunk.Put(t.Context(), faulty, key, nil, time.Minute); !errors.Is(err, backends.Indeterminate) {
		t.Error(err)
	}
	if n := faulty.Calls(backendtest.Put) + faulty.Calls(backendtest.Get); n != 1 {
		t.Errorf("%d requests", n)
	}
}
