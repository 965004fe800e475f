package keyring

import (
	"context"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/vaulttest"
)

// TestOvertaken stops one actor in the middle of something, lets others make
// what it looks at obsolete, and lets it go on: it must neither fail nor report
// damage.
func TestOvertaken(t *testing.T) {
	at := func(op, part string) func(*vaulttest.Call) bool {
		return func(c *vaulttest.Call) bool { return c.Op == op && strings.Contains(c.Key, part) }
	}
	rotated := func(s *script) {
		s.w2.rotate()
		must(s.t, s.finish(s.w2))
	}
	// Everything that w1 may have looked at is gone: epochs with their objects, versions with theirs.
	swept := func(s *script) {
		rotated(s)
		for _, act := range []func(){s.w2.destroy, s.w2.purge, s.w2.gc} {
			act()
			must(s.t, s.finish(s.w2))
		}
	}
	for _, c := range []struct {
		name      string
		prepare   func(*script)
		begin     func(*script)
		stop      func(*vaulttest.Call) bool
		meanwhile func(*script)
	}{
		{"destroy by an activation", func(s *script) {
			s.execute(s.state().Versions[0].VID)
			s.w2.drop()
			must(s.t, s.finish(s.w2))
		}, func(s *script) { s.w1.destroy() }, at("destroy", ""), rotated},
		{"recheck by the end of the epoch", rotated, func(s *script) { s.w1.destroy() }, at("get", "/e/"), swept},
		{"rotation by the end of the epoch", rotated, func(s *script) { s.w1.rotate() }, at("get", "/e/"), swept},
		{"gc by the end of the epoch", rotated, func(s *script) { s.w1.gc() }, at("get", "/e/"), swept},
		{"reading by the end of the epoch", rotated, func(s *script) {
			s.w1.start("open", func(ctx context.Context, r *Ring) error {
				a, err := r.refresh(ctx)
				if err == nil {
					_, err = r.OpenVersion(ctx, a, a.Versions[1])
				}
				return err
			})
		}, at("get", "/e/"), swept},
		{"reading of a push's row by its end", func(*script) {}, func(s *script) {
			s.w1.start("open", func(ctx context.Context, r *Ring) error {
				a, err := r.refresh(ctx)
				if err == nil {
					_, err = r.OpenVersion(ctx, a, a.Versions[1])
				}
				return err
			})
		}, at("get", "/k-"), swept},
		{"gc by a purge", func(*script) {}, func(s *script) { s.w1.gc() }, at("get", "/r-"), func(s *script) {
			s.execute(s.state().Versions[0].VID)
			s.disposed()
		}},
		{"purge by another", func(s *script) {
			s.execute(s.state().Versions[0].VID)
			s.w2.drop()
			must(s.t, s.finish(s.w2))
			s.w2.destroy()
			must(s.t, s.finish(s.w2))
		}, func(s *script) { s.w1.purge() }, at("erase", "/v/"), func(s *script) {
			s.w2.purge()
			must(s.t, s.finish(s.w2))
		}},
		{"condemn by the end of the artefact", func(s *script) {
			s.pusher.push("z", false, false)
			s.until(s.pusher, at("put", "/r-"))
			s.let(s.pusher, vaulttest.Crash)
		}, func(s *script) { s.w1.gc() }, at("put", "/log/"), func(s *script) {
			s.execute()
			s.disposed()
		}},
		{"registration by another", func(*script) {}, func(s *script) {
			s.w1.start("register", func(ctx context.Context, r *Ring) error {
				return r.Register(ctx, artefact, readers(s.world, "rita"), canonical.NewID())
			})
		}, at("list", "/log/"), rotated},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mutation{script: func(s *script) {
				s.pushed("x", false)
				s.pushed("xy", true)
				c.prepare(s)
				c.begin(s)
				if !s.until(s.w1, c.stop) {
					s.t.Fatalf("it does not come to where it is to stop: %v", s.w1.Err)
				}
				c.meanwhile(s)
				must(s.t, s.finish(s.w1))
			}}.run(t, false)
			if m.bad != "" {
				t.Errorf("%s\n%s", m.bad, strings.Join(m.trace, "\n"))
			}
		})
	}
}
