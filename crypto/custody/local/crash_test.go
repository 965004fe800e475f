package local

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/interleave"
)

// experiment is a directory on a simulated disk, and a label that several
// processes work on.
type experiment struct {
	interleave.Label
	t     *rapid.T
	world *world
	clock int64
}

func newExperiment(t *rapid.T) *experiment {
	x := &experiment{t: t, world: newWorld()}
	x.Label = interleave.Label{Name: "e-1", Failf: x.failf, Left: x.left}
	return x
}

// keeper opens the directory as a process whose faults pause tells.
func (x *experiment) keeper(pause func() fault) (*Keeper, error) {
	d := &actorDisk{world: x.world, pause: pause}
	return create(&Keeper{
		dir: "/", now: func() time.Time { x.clock++; return time.Unix(x.clock, 0) },
		open: func(string) (disk, error) { return d, nil },
	})
}

// calm opens the directory as a process without faults.
func (x *experiment) calm() *Keeper {
	k, err := x.keeper(func() fault { return noFault })
	if err != nil {
		x.t.Fatal(err)
	}
	return k
}

func (x *experiment) failf(format string, args ...any) {
	var names string
	for name, f := range x.world.now {
		names += fmt.Sprintf("\n%s: %.60q", name, f.b)
	}
	x.t.Errorf(format+"%s", append(args, names)...)
}

// left looks for the key in every file that ever was, named or not.
func (x *experiment) left(ref custody.KeyRef) (where []string) {
	for _, f := range x.world.ever {
		if bytes.Contains(f.b, []byte("# ref: "+string(ref))) {
			where = append(where, fmt.Sprintf("a file with %.90q", f.b))
		}
	}
	return where
}

// TestCrashes lets several processes create, use and destroy one label at once,
// one visible step at a time, with disk errors, crashes and a cut of power; then
// somebody without faults comes and finishes.
func TestCrashes(t *testing.T) {
	// The narrowest window that a fault needs here is met about once in 500 runs.
	for i := range 4 {
		t.Run(fmt.Sprint(i), rapid.MakeCheck(func(t *rapid.T) {
			x := newExperiment(t)
			if rapid.Bool().Draw(t, "created") {
				k := x.calm()
				x.Do(k, "create", new(bool))
				x.Do(k, "use", new(bool))
			}
			for range rapid.IntRange(1, 2).Draw(t, "rounds") {
				x.round()
			}
			x.Recover(x.calm())
		}))
	}
}

// round runs processes until they are done, dead, or without power.
func (x *experiment) round() {
	t := x.t
	weather, powerOffAt := []fault{noFault}, -1
	switch rapid.SampledFrom([]string{"calm", "crashes", "errors", "power"}).Draw(t, "weather") {
	case "crashes":
		weather = append(make([]fault, 15), crash)
	case "errors":
		weather = append(make([]fault, 15), failEarly, failLate, crash)
	case "power":
		powerOffAt = 16*rapid.IntRange(0, 7).Draw(t, "off") + rapid.IntRange(0, 15).Draw(t, "off")
	}
	steps, faulty, next := 0, false, noFault
	burst, actor := 0, 0
	choose := func(n int) int {
		if steps == powerOffAt {
			weather = []fault{crash}
		}
		steps++
		next = rapid.SampledFrom(weather).Draw(t, "fault")
		faulty = faulty || next != noFault
		if burst--; burst < 0 || actor >= n {
			burst = rapid.IntRange(0, 30).Draw(t, "burst")
			actor = rapid.IntRange(0, n-1).Draw(t, "actor")
		}
		return actor
	}
	var actors []func(func())
	for range rapid.IntRange(1, 4).Draw(t, "actors") {
		ops := rapid.SliceOfN(rapid.SampledFrom(interleave.Ops()), 1, 3).Draw(t, "ops")
		actors = append(actors, func(pause func()) {
			k, err := x.keeper(func() fault { pause(); return next })
			if err != nil && !faulty {
				x.failf("open: %v", err)
			}
			for i := 0; err == nil && i < len(ops); i++ {
				x.Do(k, ops[i], &faulty)
			}
		})
	}
	interleave.Run(choose, actors...)
	if powerOffAt >= 0 && steps > powerOffAt {
		x.world.powerCut(func() bool { return rapid.Bool().Draw(t, "kept") })
	}
}
