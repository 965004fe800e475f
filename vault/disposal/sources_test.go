package disposal

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// TestSourceDiesUnderPush destroys a version while a push that borrows from it
// is about to commit, and lets that push die at each of its calls from there on.
// The manifest that it has stored names the identities of borrowed chunks: no
// epoch may carry its identity that comes after the disposal, unless its author
// has stored those chunks anew.
func TestSourceDiesUnderPush(t *testing.T) {
	for n := 0; ; n++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			k := templateKey{state.AnyOf, 1}
			founded(t, k)
			s := newSiege(t, t.Context(), k, 0, rand.New(rand.NewPCG(1, 2)), wrong{})
			defer s.stop()
			aid, rita, olaf := s.artefacts[0], s.clerk("rita"), s.clerk("olaf")
			rita.push(aid, []string{"own-1", "x"}, false, false)
			must(t, s.finish(rita))
			olaf.push(aid, []string{"own-2", "x"}, true, false)
			for olaf.Pending != nil && (olaf.Pending.Op != "put" || !strings.Contains(olaf.Pending.Key, "/log/")) {
				s.proceed(olaf, vaulttest.Pass)
			}
			s.dispose(scope(aid, s.state(aid).Versions[0]))
			for i := 0; i < n && olaf.Pending != nil; i++ {
				s.proceed(olaf, vaulttest.Pass)
			}
			if done = olaf.Pending == nil; !done {
				s.proceed(olaf, vaulttest.CrashKept)
			} else {
				must(t, olaf.Err)
			}
			s.store.dirty = true
			s.look()
			if s.bad != "" {
				t.Errorf("after %d calls: %s\n%s", n, s.bad, strings.Join(s.trace, "\n"))
			}
		})
		if done || t.Failed() {
			return
		}
	}
}

// TestResumeWithOtherFiles resumes, with other files, a push that had stored a
// manifest which names borrowed chunks, and then destroys what they were borrowed
// from. The version that came of it must not keep them.
func TestResumeWithOtherFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := templateKey{state.AnyOf, 1}
		founded(t, k)
		s := newSiege(t, t.Context(), k, 0, rand.New(rand.NewPCG(1, 2)), wrong{})
		defer s.stop()
		aid, rita, olaf := s.artefacts[0], s.clerk("rita"), s.clerk("olaf")
		rita.push(aid, []string{"own-1", "x"}, false, false)
		must(t, s.finish(rita))
		olaf.push(aid, []string{"own-2", "x"}, true, false)
		for !strings.Contains(olaf.Pending.Key, "/log/") || olaf.Pending.Op != "put" {
			s.proceed(olaf, vaulttest.Pass)
		}
		s.proceed(olaf, vaulttest.Crash)
		olaf.push(aid, []string{"own-3"}, true, true)
		must(t, s.finish(olaf))
		s.dispose(scope(aid, s.state(aid).Versions[0]))
		if s.bad != "" {
			t.Errorf("%s\n%s", s.bad, strings.Join(s.trace, "\n"))
		}
	})
}

// dispose has a disposal requested, approved and run.
func (s *siege) dispose(scopes ...state.DisposalScope) canonical.ID {
	s.clerk("cust").request(scopes...)
	must(s.t, s.finish(s.clerk("cust")))
	requests := s.requests()
	r := requests[len(requests)-1]
	s.clerk("dora").approve(r)
	must(s.t, s.finish(s.clerk("dora")))
	s.clerk("run").run(r)
	must(s.t, s.finish(s.clerk("run")))
	return r.ID
}
