package disposal

import (
	"context"
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/vaulttest"
)

// survivorsAtMost is with how many survivors the requests of a disposal are counted
// at most: requests are the same whoever watches for races.
func survivorsAtMost() int {
	if raceDetector || testing.Short() {
		return 100
	}
	return 10000
}

// timed is a keeper that tells when it is first asked to destroy a key.
type timed struct {
	custody.Keeper
	destroying func()
}

func (k timed) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	k.destroying()
	return k.Keeper.Destroy(ctx, ref)
}

// requestsToUnreadable counts the requests that a run makes until it destroys
// the keys, after it has read where the disposal stands.
func (o *office) requestsToUnreadable(id canonical.ID) int {
	o.t.Helper()
	counting := backendtest.NewCounting(o.Store)
	o.store = counting
	d := o.desk("run")
	o.store, d.Jobs = o.Store, 8
	_, err := d.Status(o.t.Context(), id)
	must(o.t, err)
	counting.Reset()
	n := 0
	d.Keepers["keeper-0"] = timed{d.Keepers["keeper-0"], func() { n = max(n, len(counting.Requests())) }}
	_, err = d.Run(o.t.Context(), id)
	must(o.t, err)
	return n
}

// TestRequestsDoNotGrowWithBytes: making a version unreadable costs the same
// whatever it holds.
func TestRequestsDoNotGrowWithBytes(t *testing.T) {
	var counts []int
	for _, chunks := range []int{1, 640} {
		o := newOffice(t, vaulttest.Config{})
		aid := o.register("m")
		v := o.push("m", chunks)
		o.push("m", 1)
		counts = append(counts, o.requestsToUnreadable(o.approved(nil, scope(aid, v)).ID))
	}
	if counts[0] != counts[1] {
		t.Errorf("%d requests for a small version, %d for a large one", counts[0], counts[1])
	}
}

// TestRequestsAmongSurvivors: at most 20, one of which finds other artefacts, whose
// journals may hold descendants; 4 for each 64 survivors; and 1 for each version
// pushed since the current epoch.
func TestRequestsAmongSurvivors(t *testing.T) {
	var sizes []int
	for _, n := range []int{1, 10, 100, 5000, 10000} {
		if n <= survivorsAtMost() {
			sizes = append(sizes, n)
		}
	}
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	alive, rita := 0, o.desk("rita")
	for _, n := range sizes {
		since := 0
		for alive < n+1 {
			o.pushOn(rita, "m", 0)
			alive, since = alive+1, since+1
		}
		d := o.desk("cust")
		a, err := d.fold(t.Context(), aid)
		must(t, err)
		got := o.requestsToUnreadable(o.approved(nil, scope(aid, a.Latest())).ID)
		alive--
		most := 20 + 4*((n+63)/64) + since
		t.Logf("%d survivors, %d pushed since: %d requests, at most %d", n, since, got, most)
		if got > most {
			t.Errorf("%d survivors, %d pushed since: %d requests, more than %d", n, since, got, most)
		}
	}
}
