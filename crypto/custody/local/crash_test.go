package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/interleave"
)

// experiment is what several processes did to one label, and what must hold.
type experiment struct {
	t     *rapid.T
	world *world
	clock int64

	ref       custody.KeyRef // of the label, once a Create returned
	wrapped   []byte         // a wrapping of "seed" under it
	begun     bool           // a Destroy was called
	destroyed bool           // a Destroy returned
	evidence  []byte
}

const label = "e-1"

// keeper opens the world as a process whose faults pause tells.
func (x *experiment) keeper(pause func() fault) (*Keeper, error) {
	d := &actorDisk{world: x.world, pause: pause}
	return create(&Keeper{
		dir: "/", now: func() time.Time { x.clock++; return time.Unix(x.clock, 0) },
		open: func(string) (disk, error) { return d, nil },
	})
}

func (x *experiment) failf(format string, args ...any) {
	var names string
	for name, f := range x.world.now {
		names += fmt.Sprintf("\n%s: %.60q", name, f.b)
	}
	x.t.Errorf(format+"%s", append(args, names)...)
}

// do makes one call and holds its answer to what was known when it began.
func (x *experiment) do(k *Keeper, op string, faulty *bool) {
	ctx, wasDestroyed, wasBegun := context.Background(), x.destroyed, x.begun
	var err error
	switch op {
	case "create":
		var ref custody.KeyRef
		if ref, err = k.Create(ctx, label); err == nil {
			if x.ref != "" && ref != x.ref {
				x.failf("create gives %s, another got %s", ref, x.ref)
			}
			x.ref = ref
		}
	case "use":
		if x.ref == "" {
			return
		}
		var w, secret []byte
		if w, err = k.Wrap(ctx, x.ref, [32]byte{1}, []byte("seed")); err == nil {
			x.wrapped = w
		}
		if x.wrapped != nil && err == nil {
			wasDestroyed = x.destroyed
			if secret, err = k.Unwrap(ctx, x.ref, [32]byte{1}, x.wrapped); err == nil && string(secret) != "seed" {
				x.failf("unwrap gives %q", secret)
			}
		}
	case "destroy":
		if x.ref == "" {
			return
		}
		x.begun, wasBegun = true, true
		var d custody.Destruction
		if d, err = k.Destroy(ctx, x.ref); err == nil {
			x.acknowledged(d)
			return
		}
	case "status":
		if x.ref == "" {
			return
		}
		var s custody.KeyStatus
		if s, err = k.Status(ctx, x.ref); err == nil {
			switch {
			case s.State == custody.Unknown, s.State != custody.Alive && !x.begun, s.State != custody.Destroyed && wasDestroyed:
				x.failf("state %d; destroy begun: %v, acknowledged: %v", s.State, x.begun, wasDestroyed)
			case s.State == custody.Destroyed:
				x.nothingLeft()
			}
			return
		}
	}
	switch {
	case err == nil && wasDestroyed:
		x.failf("%s after the destruction was acknowledged: succeeded", op)
	case errors.Is(err, custody.ErrDestroyed) && !x.begun:
		x.failf("%s: %v, but nobody destroyed", op, err)
	case errors.Is(err, custody.ErrNotFound), errors.Is(err, custody.ErrCorrupt):
		x.failf("%s: %v", op, err)
	case err != nil && !errors.Is(err, custody.ErrDestroyed) && !*faulty:
		x.failf("%s: %v, without a fault (destroy begun: %v)", op, err, wasBegun)
	}
}

func (x *experiment) acknowledged(d custody.Destruction) {
	if d.State != custody.Destroyed || d.Ref != x.ref || d.At.IsZero() {
		x.failf("acknowledged %+v", d)
	}
	if x.evidence != nil && !bytes.Equal(x.evidence, d.Evidence) {
		x.failf("evidence %q, another got %q", d.Evidence, x.evidence)
	}
	x.destroyed, x.evidence = true, d.Evidence
	x.nothingLeft()
}

// nothingLeft looks for the key in every file that ever was, named or not.
func (x *experiment) nothingLeft() {
	for _, f := range x.world.ever {
		if bytes.Contains(f.b, []byte("# ref: "+string(x.ref))) {
			x.failf("destroyed, yet %.90q is on the disk", f.b)
		}
	}
}

// TestCrashes lets several processes create, use and destroy one label at once,
// one visible step at a time, with disk errors, crashes and a cut of power; then
// somebody without faults comes and finishes.
func TestCrashes(t *testing.T) {
	// The narrowest window that a fault needs here is met about once in 500 runs.
	for i := range 6 {
		t.Run(fmt.Sprint(i), rapid.MakeCheck(func(t *rapid.T) {
			x := &experiment{t: t, world: newWorld()}
			k, err := x.keeper(func() fault { return noFault })
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "created") {
				x.do(k, "create", new(bool))
				x.do(k, "use", new(bool))
			}
			for range rapid.IntRange(1, 2).Draw(t, "rounds") {
				x.round()
			}
			x.recover()
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
		ops := rapid.SliceOfN(rapid.SampledFrom([]string{"destroy", "create", "use", "status"}), 1, 3).Draw(t, "ops")
		actors = append(actors, func(pause func()) {
			k, err := x.keeper(func() fault { pause(); return next })
			if err != nil && !faulty {
				x.failf("open: %v", err)
			}
			for i := 0; err == nil && i < len(ops); i++ {
				x.do(k, ops[i], &faulty)
			}
		})
	}
	interleave.Run(choose, actors...)
	if powerOffAt >= 0 && steps > powerOffAt {
		x.world.powerCut(func() bool { return rapid.Bool().Draw(t, "kept") })
	}
}

// recover does what any later client does, on a disk that works.
func (x *experiment) recover() {
	faulty := false
	k, err := x.keeper(func() fault { return noFault })
	if err != nil {
		x.t.Fatal(err)
	}
	had := x.ref
	x.do(k, "create", &faulty)
	x.do(k, "status", &faulty)
	x.do(k, "use", &faulty)
	if x.begun {
		x.do(k, "destroy", &faulty)
		if !x.destroyed {
			x.failf("a repeated Destroy did not finish")
		}
		x.do(k, "create", &faulty)
		x.do(k, "use", &faulty)
		x.do(k, "status", &faulty)
		for name := range x.world.now {
			if secret, mine := temporaryOf(name, label); mine && secret {
				if bytes.Contains(x.world.now[name].b, []byte("# ref: "+string(x.ref))) {
					x.failf("%s is left", name)
				}
			}
		}
	} else if had != "" && x.ref != had {
		x.failf("the label's key was %s, is %s", had, x.ref)
	}
	var listed []custody.KeyRef
	for ref, err := range k.List(context.Background(), "") {
		if err != nil {
			x.failf("list: %v", err)
		}
		listed = append(listed, ref)
	}
	if x.ref != "" && (len(listed) != 1 || listed[0] != x.ref) {
		x.failf("list yields %q, want %s", listed, x.ref)
	}
}
