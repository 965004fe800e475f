package custodytest_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
)

func now() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

func TestMem(t *testing.T) {
	for name, delay := range map[string]time.Duration{"at once": 0, "pending": 7 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			custodytest.Run(t, func(*testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
				m := custodytest.NewMem(now, delay)
				return m, func() (custody.Keeper, error) { return m, nil }
			})
		})
	}
}

func TestFaultyWithoutFaults(t *testing.T) {
	custodytest.Run(t, func(*testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		f := custodytest.NewFaulty(custodytest.NewMem(now, 0), func(custodytest.Call) custodytest.Fault { return custodytest.NoFault })
		return f, func() (custody.Keeper, error) { return f, nil }
	})
}

// broken is a keeper with some methods replaced by wrong ones.
type broken struct {
	*custodytest.Mem
	create  func(ctx context.Context, label string) (custody.KeyRef, error)
	wrap    func(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error)
	unwrap  func(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error)
	destroy func(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error)
	status  func(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error)
	list    func(ctx context.Context, prefix string) iter.Seq2[custody.KeyRef, error]
	profile func(ctx context.Context) (custody.Profile, error)
}

func (b *broken) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	if b.create != nil {
		return b.create(ctx, label)
	}
	return b.Mem.Create(ctx, label)
}

func (b *broken) Wrap(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	if b.wrap != nil {
		return b.wrap(ctx, ref, context, secret)
	}
	return b.Mem.Wrap(ctx, ref, context, secret)
}

func (b *broken) Unwrap(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	if b.unwrap != nil {
		return b.unwrap(ctx, ref, context, wrapped)
	}
	return b.Mem.Unwrap(ctx, ref, context, wrapped)
}

func (b *broken) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	if b.destroy != nil {
		return b.destroy(ctx, ref)
	}
	return b.Mem.Destroy(ctx, ref)
}

func (b *broken) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	if b.status != nil {
		return b.status(ctx, ref)
	}
	return b.Mem.Status(ctx, ref)
}

func (b *broken) List(ctx context.Context, prefix string) iter.Seq2[custody.KeyRef, error] {
	if b.list != nil {
		return b.list(ctx, prefix)
	}
	return b.Mem.List(ctx, prefix)
}

func (b *broken) Profile(ctx context.Context) (custody.Profile, error) {
	if b.profile != nil {
		return b.profile(ctx)
	}
	return b.Mem.Profile(ctx)
}

// counter counts calls by name.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) next(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name]++
	return c.n[name]
}

// breakers maps each check to a fault that it must find.
var breakers = map[string]func(*broken){
	"create-idempotent": func(b *broken) {
		var c counter
		b.create = func(ctx context.Context, label string) (custody.KeyRef, error) {
			return b.Mem.Create(ctx, label+strings.Repeat("-", min(c.next(label), 10)))
		}
	},
	"create-racing": func(b *broken) {
		var c counter
		b.create = func(ctx context.Context, label string) (custody.KeyRef, error) {
			if strings.HasSuffix(label, "race") && c.next(label) == 7 {
				return b.Mem.Create(ctx, label+"-lost")
			}
			return b.Mem.Create(ctx, label)
		}
	},
	"label-rules": func(b *broken) {
		b.create = func(ctx context.Context, label string) (custody.KeyRef, error) {
			return b.Mem.Create(ctx, strings.ToLower(label))
		}
	},
	"ref-form": func(b *broken) {
		b.status = func(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
			s, err := b.Mem.Status(ctx, ref)
			if errors.Is(err, custody.ErrInvalid) {
				err = nil
			}
			return s, err
		}
	},
	"distinct-labels": func(b *broken) {
		b.create = func(ctx context.Context, label string) (custody.KeyRef, error) {
			return b.Mem.Create(ctx, strings.TrimRight(label, "-"))
		}
	},
	"unknown-ref": func(b *broken) {
		b.unwrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, w []byte) ([]byte, error) {
			s, err := b.Mem.Unwrap(ctx, ref, c, w)
			if errors.Is(err, custody.ErrNotFound) {
				err = custody.ErrDestroyed
			}
			return s, err
		}
	},
	"round-trip": func(b *broken) {
		b.unwrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, w []byte) ([]byte, error) {
			s, err := b.Mem.Unwrap(ctx, ref, c, w)
			return bytes.TrimRight(s, "\x00"), err
		}
	},
	"secret-size": func(b *broken) {
		b.wrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, s []byte) ([]byte, error) {
			return b.Mem.Wrap(ctx, ref, c, s[:min(len(s), custody.MaxSecret)])
		}
	},
	"context-bound": func(b *broken) {
		b.wrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, s []byte) ([]byte, error) {
			c[31] = 0
			return b.Mem.Wrap(ctx, ref, c, s)
		}
		b.unwrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, w []byte) ([]byte, error) {
			c[31] = 0
			return b.Mem.Unwrap(ctx, ref, c, w)
		}
	},
	"flipped-bit": func(b *broken) {
		b.wrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, s []byte) ([]byte, error) {
			w, err := b.Mem.Wrap(ctx, ref, c, s)
			return append(w, 0), err
		}
		b.unwrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, w []byte) ([]byte, error) {
			if len(w) > 0 && w[len(w)-1] < 2 {
				w = w[:len(w)-1]
			}
			return b.Mem.Unwrap(ctx, ref, c, w)
		}
	},
	"other-bytes": func(b *broken) {
		b.unwrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, w []byte) ([]byte, error) {
			return b.Mem.Unwrap(ctx, ref, c, w[:min(len(w), 12+32+16)])
		}
	},
	"secret-hidden": func(b *broken) {
		b.wrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, s []byte) ([]byte, error) {
			w, err := b.Mem.Wrap(ctx, ref, c, s)
			return append(w, s...), err
		}
		b.unwrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, w []byte) ([]byte, error) {
			return b.Mem.Unwrap(ctx, ref, c, w[:max(0, len(w)-32)])
		}
	},
	"wrap-fresh": func(b *broken) {
		var wraps sync.Map
		b.wrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, s []byte) ([]byte, error) {
			if w, ok := wraps.Load(string(ref) + string(c[:]) + string(s)); ok {
				return w.([]byte), nil
			}
			w, err := b.Mem.Wrap(ctx, ref, c, s)
			if err == nil {
				wraps.Store(string(ref)+string(c[:])+string(s), w)
			}
			return w, err
		}
	},
	"slices": func(b *broken) {
		b.wrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, s []byte) ([]byte, error) {
			defer clear(s)
			return b.Mem.Wrap(ctx, ref, c, s)
		}
	},
	"destroy": func(b *broken) {
		b.destroy = func(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
			return custody.Destruction{Ref: ref, State: custody.Destroyed, At: now()}, nil
		}
	},
	"destroy-unused": func(b *broken) {
		var used counter
		b.wrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, s []byte) ([]byte, error) {
			used.next(string(ref))
			return b.Mem.Wrap(ctx, ref, c, s)
		}
		b.destroy = func(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
			if used.next(string(ref)) == 1 {
				return custody.Destruction{Ref: ref, State: custody.Destroyed, At: now()}, nil
			}
			return b.Mem.Destroy(ctx, ref)
		}
	},
	"destroy-acknowledged": func(b *broken) {
		b.destroy = func(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
			d, err := b.Mem.Destroy(ctx, ref)
			d.At = time.Time{}
			return d, err
		}
	},
	"destroy-again": func(b *broken) {
		var c counter
		b.destroy = func(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
			if c.next(string(ref)) > 1 {
				return custody.Destruction{}, custody.ErrDestroyed
			}
			return b.Mem.Destroy(ctx, ref)
		}
	},
	"destroy-one": func(b *broken) {
		b.destroy = func(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
			s, err := b.Mem.Status(ctx, ref)
			if err == nil && s.State == custody.Alive {
				for beside := range b.Mem.List(ctx, s.Label[:len(s.Label)-1]) {
					if _, err := b.Mem.Destroy(ctx, beside); err != nil {
						return custody.Destruction{}, err
					}
				}
			}
			return b.Mem.Destroy(ctx, ref)
		}
	},
	"status-alive": func(b *broken) {
		b.status = func(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
			s, err := b.Mem.Status(ctx, ref)
			s.Label = ""
			return s, err
		}
	},
	"list": func(b *broken) {
		b.list = func(ctx context.Context, prefix string) iter.Seq2[custody.KeyRef, error] {
			return func(yield func(custody.KeyRef, error) bool) {
				for ref, err := range b.Mem.List(ctx, prefix) {
					if s, serr := b.Mem.Status(ctx, ref); serr == nil && s.State != custody.Alive {
						continue
					}
					if !yield(ref, err) {
						return
					}
				}
			}
		}
	},
	"list-stops": func(b *broken) {
		b.list = func(ctx context.Context, prefix string) iter.Seq2[custody.KeyRef, error] {
			return b.Mem.List(ctx, strings.ToLower(prefix))
		}
	},
	"cancelled": func(b *broken) {
		b.destroy = func(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
			d, err := b.Mem.Destroy(context.WithoutCancel(ctx), ref)
			return d, errors.Join(err, ctx.Err())
		}
	},
	"profile": func(b *broken) {
		b.profile = func(ctx context.Context) (custody.Profile, error) {
			p, err := b.Mem.Profile(ctx)
			p.PostQuantum = false
			return p, err
		}
	},
	"concurrent": func(b *broken) {
		var opened sync.Map
		b.unwrap = func(ctx context.Context, ref custody.KeyRef, c [32]byte, w []byte) ([]byte, error) {
			if s, ok := opened.Load(string(w)); ok {
				return bytes.Clone(s.([]byte)), nil
			}
			s, err := b.Mem.Unwrap(ctx, ref, c, w)
			if err == nil {
				opened.Store(string(w), bytes.Clone(s))
			}
			return s, err
		}
	},
}

func TestEveryCheckFindsItsFault(t *testing.T) {
	names := map[string]bool{}
	for _, c := range custodytest.Checks() {
		if names[c.Name] || c.Rule == "" {
			t.Errorf("check %q: its name stands twice, or it has no rule", c.Name)
		}
		names[c.Name] = true
		breaker := breakers[c.Name]
		if breaker == nil {
			t.Errorf("check %q: no broken keeper shows that it can fail", c.Name)
			continue
		}
		b := &broken{Mem: custodytest.NewMem(now, 0)}
		breaker(b)
		if err := c.Run(t.Context(), b); err == nil {
			t.Errorf("check %q passes a keeper that breaks its rule", c.Name)
		} else {
			t.Logf("%s: %v", c.Name, err)
		}
	}
	for name := range breakers {
		if !names[name] {
			t.Errorf("breaker %q breaks no check", name)
		}
	}
}

func TestReopenFindsAnotherKeeper(t *testing.T) {
	m := custodytest.NewMem(now, 0)
	err := custodytest.CheckReopened(t.Context(), m, func() (custody.Keeper, error) { return custodytest.NewMem(now, 0), nil })
	if err == nil {
		t.Error("an empty keeper passes for the one that was closed")
	}
}
