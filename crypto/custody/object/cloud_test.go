package object

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/interleave"
)

// cloud is a store whose network may hold a write up and deliver it long after
// its sender gave up.
type cloud struct {
	*mem.Store
	clock int64
	held  []packet
}

type packet struct {
	body    []byte
	deliver func()
}

func newCloud() *cloud {
	c := new(cloud)
	c.Store = mem.New(mem.Options{Now: func() time.Time { c.clock++; return time.Unix(c.clock, 0) }})
	return c
}

func (c *cloud) deliver(i int) {
	p := c.held[i]
	c.held = append(c.held[:i], c.held[i+1:]...)
	p.deliver()
}

type fault uint8

const (
	noFault fault = iota
	fail          // not applied, and said so
	lost          // no answer; not applied
	stored        // no answer; applied
	held          // no answer; applied later
	crash         // this process does nothing from here on
)

// actorStore is a cloud as one process uses it.
type actorStore struct {
	*cloud
	pause func() fault // before each request
	dead  bool
}

// read asks before a request that changes nothing.
func (s *actorStore) read(op, key string) error {
	if f := s.ask(); f != noFault {
		return &backends.Error{Op: op, Key: key, Kind: backends.Unavailable}
	}
	return nil
}

func (s *actorStore) ask() fault {
	if s.dead {
		return crash
	}
	f := s.pause()
	s.dead = f == crash
	return f
}

// write makes a request that changes something, or does to it what the network
// does.
func (s *actorStore) write(op, key string, body []byte, apply func() error) error {
	unclear := &backends.Error{Op: op, Key: key, Kind: backends.Indeterminate}
	switch s.ask() {
	case noFault:
		return apply()
	case stored:
		if err := apply(); err != nil {
			return err
		}
		return unclear
	case held:
		s.held = append(s.held, packet{bytes.Clone(body), func() { _ = apply() }})
		return unclear
	case lost:
		return unclear
	default:
		return &backends.Error{Op: op, Key: key, Kind: backends.Unavailable}
	}
}

func (s *actorStore) Put(ctx context.Context, key string, body []byte) (in backends.Info, err error) {
	body = bytes.Clone(body)
	err = s.write("put", key, body, func() (err error) { in, err = s.Store.Put(ctx, key, body); return err })
	return in, err
}

func (s *actorStore) Erase(ctx context.Context, keys ...string) (r []backends.Remnant, err error) {
	err = s.write("erase", keys[0], nil, func() (err error) { r, err = s.Store.Erase(ctx, keys...); return err })
	return r, err
}

func (s *actorStore) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if err := s.read("get", ref.Key); err != nil {
		return nil, backends.Info{}, err
	}
	return s.Store.Get(ctx, ref, off, n)
}

func (s *actorStore) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	if err := s.read("list", prefix); err != nil {
		return func(yield func(backends.Info, error) bool) { yield(backends.Info{}, err) }
	}
	return s.Store.List(ctx, prefix, o)
}

func (s *actorStore) Probe(context.Context) (backends.Capabilities, error) {
	return backends.Capabilities{
		PutIfAbsent: true, ReadAfterWrite: true, BytesIntact: true, OrderedList: true,
		EraseWorks: true, RefusesBadHash: true, RefusesAnonymous: true,
	}, s.read("probe", "")
}

// experiment is a cloud, and a label that several processes work on.
type experiment struct {
	interleave.Label
	t     *rapid.T
	cloud *cloud
}

func newExperiment(t *rapid.T) *experiment {
	x := &experiment{t: t, cloud: newCloud()}
	x.Label = interleave.Label{Name: "e-1", Failf: x.failf, Left: x.left}
	return x
}

func (x *experiment) failf(format string, args ...any) {
	objects := ""
	for _, key := range x.cloud.Keys() {
		objects += "\n" + key
	}
	x.t.Errorf(format+"%s\nand %d packets on their way", append(args, objects, len(x.cloud.held))...)
}

// left looks for the key in every object and in every packet on its way.
func (x *experiment) left(ref custody.KeyRef) (where []string) {
	material := []byte("# ref: " + string(ref))
	for _, key := range x.cloud.Keys() {
		if b, _, err := (&Keeper{store: x.cloud}).get(context.Background(), key); err != nil || bytes.Contains(b, material) {
			where = append(where, fmt.Sprintf("object %s (%v)", key, err))
		}
	}
	for _, p := range x.cloud.held {
		if bytes.Contains(p.body, material) {
			where = append(where, "a packet on its way")
		}
	}
	return where
}

func (x *experiment) keeper(pause func() fault) (*Keeper, error) {
	return Init(context.Background(), &actorStore{cloud: x.cloud, pause: pause})
}

func (x *experiment) calm() *Keeper {
	k, err := x.keeper(func() fault { return noFault })
	if err != nil {
		x.t.Fatal(err)
	}
	return k
}

// TestRaces lets several processes create, use and destroy one label at once,
// one request at a time, over a network that fails, loses and delays, with
// crashes; then somebody without faults comes and finishes, and then everything
// that was held up arrives.
func TestRaces(t *testing.T) {
	for i := range 3 {
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
			x.Do(x.calm(), "destroy", new(bool))
			for len(x.cloud.held) > 0 {
				x.cloud.deliver(rapid.IntRange(0, len(x.cloud.held)-1).Draw(t, "arrives"))
			}
			x.Recover(x.calm())
		}))
	}
}

func (x *experiment) round() {
	t, weather := x.t, []fault{noFault}
	switch rapid.SampledFrom([]string{"calm", "crashes", "network", "storm"}).Draw(t, "weather") {
	case "crashes":
		weather = append(make([]fault, 15), crash)
	case "network":
		weather = append(make([]fault, 10), fail, lost, stored, held, held, crash)
	case "storm":
		weather = []fault{noFault, held, noFault, fail, noFault, lost, stored, noFault}
	}
	faulty, next := false, noFault
	burst, actor := 0, 0
	choose := func(n int) int {
		next = rapid.SampledFrom(weather).Draw(t, "fault")
		faulty = faulty || next != noFault
		if len(x.cloud.held) > 0 && rapid.IntRange(0, 31).Draw(t, "arrival") == 31 {
			x.cloud.deliver(0)
		}
		if burst--; burst < 0 || actor >= n {
			burst = rapid.IntRange(0, 15).Draw(t, "burst")
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
}
