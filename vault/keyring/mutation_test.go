package keyring

import (
	"errors"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// mutation is a wrong reading of the protocols, and a schedule under which it
// breaks a promise. Under the same schedule the right reading must keep them all.
type mutation struct {
	name    string
	what    string
	shows   string // which promise breaks
	deviate state.Deviation
	variant variant
	delay   time.Duration // of destruction at the keeper
	rogue   bool
	script  func(*script)
}

// script is one run of a mutation's schedule.
type script struct {
	*machine
	mutated        bool
	w1, w2         *actor
	pusher, reader *actor
}

// to lets an actor go on until its pending call reads like what. Without the
// mutation it must come to that.
func (s *script) to(ac *actor, what string) {
	reached := s.until(ac, func(c *vaulttest.Call) bool { return strings.HasPrefix(s.describe(c)+short(c.Key), what) })
	if !reached && !s.mutated {
		s.t.Errorf("%s does not come to %q: %v", ac.Name, what, ac.Err)
	}
}

// let lets an actor's pending call meet a fate, if it has come to one.
func (s *script) let(ac *actor, f vaulttest.Fate) {
	if ac.Pending != nil {
		s.proceed(ac, f)
	}
}

// pushed pushes a version and returns its id.
func (s *script) pushed(items string, borrow bool) canonical.ID {
	s.reader.push(items, borrow, false)
	must(s.t, s.finish(s.reader))
	vs := s.state().Versions
	return vs[len(vs)-1].VID
}

// disposed drops, destroys and purges by w2 what was executed.
func (s *script) disposed() {
	for _, act := range []func(){s.w2.drop, s.w2.destroy, s.w2.purge} {
		if s.bad == "" {
			act()
			s.finish(s.w2)
		}
	}
}

func TestMutations(t *testing.T) {
	for _, mut := range append(rotationMutations(), purgeMutations()...) {
		t.Run(mut.name, func(t *testing.T) {
			if m := mut.run(t, false); m.bad != "" {
				t.Errorf("the right reading: %s\n%s", m.bad, strings.Join(m.trace, "\n"))
			}
			m := mut.run(t, true)
			if !strings.Contains(m.bad, mut.shows) {
				t.Errorf("%s: it should break %s, but: %q\n%s", mut.what, mut.shows, m.bad, strings.Join(m.trace, "\n"))
			}
			t.Log(m.bad)
		})
	}
}

func (mut mutation) run(t *testing.T, mutated bool) (m *machine) {
	k := templateKey{cipher: vaulttest.Symbolic{}, mode: state.AnyOf, keepers: 1}
	cryptotest.SetGlobalRandom(t, 1)
	template(t, k)
	cryptotest.SetGlobalRandom(t, 2)
	deviate, wrong := state.Deviation(nil), variant{}
	if mutated {
		deviate, wrong = mut.deviate, mut.variant
	}
	synctest.Test(t, func(t *testing.T) {
		m = newMachine(t, t.Context(), k, mut.delay, deviate, wrong)
		m.rogue = mut.rogue
		must(t, m.alice.Register(m.ctx, artefact, readers(m.world, "alice"), canonical.NewID()))
		s := &script{machine: m, mutated: mutated}
		s.w1, s.w2, s.pusher, s.reader = m.actor("w1", m.alice), m.actor("w2", m.alice), m.actor("pusher", m.pat), m.actor("reader", m.alice)
		defer m.stop()
		mut.script(s)
		if m.bad == "" && !m.rogue {
			m.stop()
			m.settle()
		}
	})
	return m
}

func rotationMutations() []mutation {
	// executes v1 after w1 has come to some call, and lets everybody finish.
	deathAt := func(call string) func(*script) {
		return func(s *script) {
			v1 := s.pushed("x", false)
			s.pushed("y", false)
			s.w1.rotate()
			s.to(s.w1, call)
			s.execute(v1)
			s.finish(s.w1)
			s.disposed()
		}
	}
	return []mutation{{
		name: "no-candidate", what: "seed wrapped and tables written before any candidate entry", shows: "(a)",
		variant: variant{lateCandidate: true},
		script: func(s *script) {
			v1 := s.pushed("x", false)
			s.pushed("y", false)
			s.w1.rotate()
			s.to(s.w1, "append candidate")
			s.let(s.w1, vaulttest.Crash)
			s.execute(v1)
			s.disposed()
		},
	}, {
		name: "old-fold", what: "tables from a fold older than the intent and the candidate", shows: "(a)",
		variant: variant{oldFold: true}, script: deathAt("append intent"),
	}, {
		name: "gc-at-once", what: "gc destroys the key of any intent without a candidate", shows: "(b)",
		variant: variant{abandoned: func(_ *state.Artefact, ep *state.Epoch) bool { return ep.Candidate == nil }},
		script: func(s *script) {
			s.pushed("x", false)
			s.w1.rotate()
			s.to(s.w1, "append candidate")
			s.w2.reap()
			s.until(s.w2, func(c *vaulttest.Call) bool { return c.Op == "destroy" })
			s.finish(s.w1)
			s.finish(s.w2)
		},
	}, {
		name: "no-intent-check", what: "activation valid although a death or an activation stands after its intent", shows: "(a)",
		deviate: state.Deviation{state.RuleActivateFresh: true}, script: deathAt("append activate"),
	}, {
		name: "no-read-back", what: "steps 5 and 7 skipped: tables are taken as complete", shows: "(b)",
		variant: variant{noReadBack: true, noRecheck: true},
		script: func(s *script) {
			s.pushed("x", false)
			s.w1.rotate()
			s.until(s.w1, func(c *vaulttest.Call) bool { return c.Op == "put" && strings.Contains(c.Key, "/k-") })
			s.let(s.w1, vaulttest.Corrupt)
			s.finish(s.w1)
		},
	}, {
		name: "stale-push", what: "a version entry is valid though its row is under a superseded epoch", shows: "(b)",
		deviate: state.Deviation{state.RuleEpoch: true}, variant: variant{stalePush: true},
		script: func(s *script) {
			s.pusher.push("x", false, false)
			s.to(s.pusher, "append version")
			s.w1.rotate()
			s.finish(s.w1)
			s.finish(s.pusher)
		},
	}, {
		name: "late-cancel", what: "cancel accepted after the activation", shows: "(b)",
		deviate: state.Deviation{state.RuleCancel: true},
		script: func(s *script) {
			d := s.execute(s.pushed("x", false))
			s.w1.drop()
			s.finish(s.w1)
			s.cancel(d)
		},
	}, {
		name: "hold-ignored", what: "survivors computed without holds", shows: "(c)",
		deviate: state.Deviation{state.RuleHoldLives: true},
		script: func(s *script) {
			v1 := s.pushed("x", false)
			s.execute(v1)
			s.hold(v1)
			s.w1.rotate()
			s.finish(s.w1)
		},
	}, {
		name: "release-no-death", what: "releasing a hold on an executed version is no death", shows: "(a)",
		deviate: state.Deviation{state.RuleReleaseDies: true},
		script: func(s *script) {
			v1 := s.pushed("x", false)
			s.execute(v1)
			h := s.hold(v1)
			s.w1.rotate()
			s.to(s.w1, "append activate")
			s.release(h)
			s.finish(s.w1)
			s.disposed()
		},
	}, {
		name: "step4-literal", what: "step 4 abandons only for what stands after the candidate, step 6 voids since the intent", shows: "(d)",
		variant: variant{
			awaits: func(a *state.Artefact, ep *state.Epoch) bool { return ep.AwaitsCandidate() },
			openFor: func(a *state.Artefact, ep *state.Epoch) bool {
				return ep.Candidate != nil && a.DiedAt.Seq < ep.CandidateAt.Seq && a.ActivatedAt.Seq < ep.At.Seq
			},
		},
		script: deathAt("append candidate"),
	}, {
		name: "two-candidates", what: "both resumers of one intent get a valid candidate with the same key", shows: "(b)",
		deviate: state.Deviation{state.RuleFirst: true},
		variant: variant{awaits: func(a *state.Artefact, ep *state.Epoch) bool {
			return a.DiedAt.Seq < ep.At.Seq && a.ActivatedAt.Seq < ep.At.Seq
		}},
		script: func(s *script) {
			s.pushed("x", false)
			s.w1.rotate()
			s.to(s.w1, "create")
			s.let(s.w1, vaulttest.Crash)
			s.w1.rotate() // from here on both resume what somebody else began
			s.to(s.w1, "create")
			s.w2.rotate()
			s.to(s.w2, "wrap")
			s.to(s.w1, "wrap")
			s.let(s.w1, vaulttest.Crash)
			s.finish(s.w2)
			s.w2.destroy()
			s.finish(s.w2)
		},
	}, {
		name: "void-literal", what: "a candidate is judged at the head: the current one too has its intent before the latest activation", shows: "(b)",
		variant: variant{abandoned: func(a *state.Artefact, ep *state.Epoch) bool { return ep.At.Seq < a.ActivatedAt.Seq }},
		script: func(s *script) {
			s.pushed("x", false)
			s.w1.rotate()
			s.finish(s.w1)
			s.w2.reap()
			s.finish(s.w2)
		},
	}, {
		name: "no-revival", what: "only pushes get more tables; a version held or cancelled since waits for ever", shows: "(d)",
		variant: variant{more: func(r *Ring, _ *state.Artefact, ep *state.Epoch) error {
			for _, e := range r.Ledger.Log().Entries {
				if e.Seq > ep.CandidateAt.Seq && (e.Kind == state.KindCancel || e.Kind == state.KindHold) {
					return errors.New("waits")
				}
			}
			return nil
		}},
		script: func(s *script) {
			d1 := s.execute(s.pushed("x", false))
			s.execute(s.pushed("y", false))
			s.w1.drop()
			s.to(s.w1, "append activate")
			s.cancel(d1)
			s.finish(s.w1)
		},
	}, {
		name: "push-into-whole", what: "version entries stay valid after a whole-artefact execute", shows: "(d)",
		deviate: state.Deviation{state.RuleWhole: true}, variant: variant{intoWhole: true},
		script: func(s *script) {
			s.pushed("x", false)
			s.pusher.push("y", false, false)
			s.to(s.pusher, "append version")
			s.execute()
			s.finish(s.pusher)
		},
	}, {
		name: "kill-open", what: "step 7 destroys open candidates too", shows: "(b)",
		variant: variant{doomed: func(a *state.Artefact) []*state.Epoch {
			var out []*state.Epoch
			for _, ep := range a.Epochs {
				if ep.Candidate != nil && ep != a.Current && !ep.KeysDestroyed {
					out = append(out, ep)
				}
			}
			return out
		}},
		script: func(s *script) {
			s.pushed("x", false)
			s.w1.rotate()
			s.to(s.w1, "append activate")
			s.w2.destroy()
			s.until(s.w2, func(c *vaulttest.Call) bool { return strings.HasPrefix(s.describe(c), "append") })
			s.finish(s.w1)
		},
	}, {
		name: "claim-pending", what: "destroyed claimed while a key is only pending", shows: "(a)",
		variant: variant{claimPending: true}, delay: time.Hour,
		script: func(s *script) {
			s.execute(s.pushed("x", false))
			s.disposed()
		},
	}, {
		name: "no-recheck", what: "the executor destroys without repeating step 5", shows: "(b, weak)", rogue: true,
		variant: variant{noRecheck: true},
		script: func(s *script) {
			s.pushed("x", false)
			s.w1.variant = variant{noReadBack: true} // a rogue, or a careless one
			s.w1.rotate()
			s.until(s.w1, func(c *vaulttest.Call) bool { return c.Op == "put" && strings.Contains(c.Key, "/k-") })
			s.let(s.w1, vaulttest.Corrupt)
			s.finish(s.w1)
			s.w2.destroy()
			if err := s.finish(s.w2); !s.mutated && !errors.Is(err, ErrIntegrity) {
				s.t.Errorf("after a careless activation Destroy returns %v", err)
			}
		},
	}}
}

func purgeMutations() []mutation {
	gone := func(s *script, v canonical.ID) {
		s.execute(v)
		s.disposed()
	}
	return []mutation{{
		name: "own-prefix", what: "purge looks only under the dead version's own prefix", shows: "(2)",
		variant: variant{ownPrefix: true},
		script: func(s *script) {
			v1, v2 := s.pushed("x", false), s.pushed("xy", true)
			gone(s, v1)
			gone(s, v2)
		},
	}, {
		name: "time-only", what: "gc erases old uncommitted versions without condemn", shows: "(1)",
		variant: variant{timeOnly: true},
		script: func(s *script) {
			s.pusher.push("x", false, false)
			s.to(s.pusher, "append version")
			s.w1.gc()
			s.finish(s.w1)
			s.finish(s.pusher)
		},
	}, {
		name: "dead-source", what: "an entry is valid though a version it borrowed through died", shows: "(1)",
		deviate: state.Deviation{state.RuleBorrowed: true}, variant: variant{deadSource: true},
		script: func(s *script) {
			v1 := s.pushed("x", false)
			s.reader.push("x", true, false)
			s.to(s.reader, "append version")
			s.execute(v1)
			s.disposed()
			s.finish(s.reader)
		},
	}, {
		name: "less-second", what: "the prefix of a dead version is erased whole", shows: "(1)",
		variant: variant{lessSecond: true},
		script: func(s *script) {
			v1 := s.pushed("x", false)
			s.pushed("xy", true)
			gone(s, v1)
		},
	}, {
		name: "live-only", what: "only live versions' references protect, executed (cancellable) ones do not", shows: "(1)",
		variant: variant{protects: func(v *state.CommittedVersion) bool { return v.State == state.Live }},
		script: func(s *script) {
			v1, v2 := s.pushed("x", false), s.pushed("xy", true)
			s.execute(v1)
			s.w1.drop()
			s.finish(s.w1)
			s.w2.destroy()
			s.finish(s.w2)
			s.execute(v2)
			s.w2.purge()
			s.finish(s.w2)
		},
	}, {
		name: "r-literal", what: "missing references of the dead version stop its purge", shows: "purge reports damage",
		variant: variant{strictReferences: true},
		script: func(s *script) {
			s.execute(s.pushed("x", false))
			s.w1.drop()
			s.finish(s.w1)
			s.w2.destroy()
			s.finish(s.w2)
			s.w2.purge()
			s.until(s.w2, func(c *vaulttest.Call) bool { return c.Op == "erase" && strings.Contains(c.Key, "/r-") })
			s.let(s.w2, vaulttest.CrashKept)
		},
	}, {
		name: "condemn-blind", what: "gc erases under a version that committed before the condemn entry", shows: "(b)",
		variant: variant{condemnBlind: true},
		script: func(s *script) {
			s.pusher.push("x", false, false)
			s.to(s.pusher, "append version")
			s.w1.gc()
			s.to(s.w1, "append condemn")
			s.finish(s.pusher)
			s.finish(s.w1)
		},
	}, {
		name: "gc-literal", what: "gc always keeps what an entry names", shows: "(2)",
		variant: variant{keepNamed: true},
		script: func(s *script) {
			s.reader.push("x", false, false)
			s.until(s.reader, func(c *vaulttest.Call) bool { return c.Op == "put" && strings.Contains(c.Key, "/r-") })
			late := flight{s.reader.Pending.Key, s.reader.Pending.Body}
			must(s.t, s.finish(s.reader))
			gone(s, s.state().Versions[0].VID)
			s.flights = append(s.flights, late)
		},
	}, {
		name: "no-gc-list", what: "gc erases under a committed version what its own references do not list", shows: "(1)",
		variant: variant{ownList: true},
		script: func(s *script) {
			v1 := s.pushed("x", false)
			s.pushed("xy", true)
			gone(s, v1)
			s.w1.gc()
			s.finish(s.w1)
		},
	}}
}
