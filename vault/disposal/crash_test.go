package disposal

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault/vaulttest"
)

// TestEveryWriteFails lets a runner die at every single write of a disposal, and
// at every call of a keeper, before and after it takes effect. Whoever runs next
// completes it: one certificate, nothing opens, and who should live does.
func TestEveryWriteFails(t *testing.T) {
	kinds := []struct {
		op   backendtest.Op
		mode backendtest.Mode
	}{{backendtest.Put, backendtest.FailLost}, {backendtest.Put, backendtest.FailStored}, {backendtest.Erase, backendtest.FailLost}, {backendtest.Erase, backendtest.FailStored}}
	for _, k := range kinds {
		for n := 1; ; n++ {
			if !crashed(t, fmt.Sprintf("%s %d, mode %d", k.op, n, k.mode), func(d *Desk, o *office) func() bool {
				hit := false
				crash := backendtest.CrashAt(k.op, n, k.mode)
				d.rebase(backendtest.NewFaulty(o.Store, func(c backendtest.Call) backendtest.Fault {
					f := crash(c)
					hit = hit || f.Mode != backendtest.Pass
					return f
				}))
				return func() bool { return hit }
			}) {
				if n < 3 {
					t.Errorf("a disposal makes %d calls of %s", n-1, k.op)
				}
				break
			}
		}
	}
	for _, fault := range []custodytest.Fault{custodytest.FailBefore, custodytest.FailAfter} {
		for n := int64(1); ; n++ {
			if !crashed(t, fmt.Sprintf("keeper call %d, fault %d", n, fault), func(d *Desk, o *office) func() bool {
				f := custodytest.NewFaulty(o.Keepers["keeper-0"], func(c custodytest.Call) custodytest.Fault {
					if c.N >= n {
						return fault
					}
					return custodytest.NoFault
				})
				d.Keepers["keeper-0"] = f
				return func() bool { return f.Calls() >= n }
			}) {
				break
			}
		}
	}
}

// rebase lets a desk work on another store than it was opened with.
func (d *Desk) rebase(s *backendtest.Faulty) {
	d.Store, d.Vault.Store = s, s
}

// crashed runs a disposal that breaks off as told, then another to its end. It
// reports whether the first one met with the fault.
func crashed(t *testing.T, what string, breakOff func(*Desk, *office) func() bool) (hit bool) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, vaulttest.Config{})
		aid := o.register("m")
		v1 := o.push("m", 2)
		v2 := o.push("m", 1, v1)
		r := o.approved(map[string]string{"shared:m@v1": "accept"}, scope(aid, v1))
		d := o.desk("run")
		d.Vault.Stall = time.Minute
		met := breakOff(d, o)
		_, err := d.Run(t.Context(), r.ID)
		if hit = met(); !hit {
			must(t, err)
		}
		out := o.mustRun(r.ID)
		must(t, o.opens(aid, v2))
		if err := o.opens(aid, v1); err == nil {
			t.Errorf("%s: a destroyed version opens", what)
		}
		certificates := 0
		for _, key := range o.Store.Keys() {
			if strings.HasPrefix(key, "cert/") {
				certificates++
			}
			if strings.Contains(key, v1.VID.String()) && !strings.Contains(key, "/c/") {
				t.Errorf("%s: storage still has %s", what, key)
			}
		}
		if certificates != 1 {
			t.Errorf("%s: %d certificates", what, certificates)
		}
		b, err := o.desk("cust").Bundle(t.Context(), r.ID)
		must(t, err)
		if _, err := Judge(b, o.Genesis); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if again := o.mustRun(r.ID); again.Changed || again.Certificate.Statement.Predicate != out.Certificate.Statement.Predicate {
			t.Errorf("%s: a third run changed something", what)
		}
	})
	return hit
}
