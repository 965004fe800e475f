package interleave

import (
	"bytes"
	"context"
	"errors"

	"github.com/aivault/aivault/crypto/custody"
)

// Ops returns the names of what Do can do, the most telling first.
func Ops() []string { return []string{"destroy", "create", "use", "status"} }

// Label is one label of a keeper, to which actors do things at once, and what
// the answers so far say must hold from then on. Its fields are only touched
// between two pauses, so they need no lock.
type Label struct {
	Name string
	// Failf reports a broken promise.
	Failf func(format string, args ...any)
	// Left tells where the material of a key still is, in the worst case: a
	// disk without names counts, a packet still on its way too.
	Left func(ref custody.KeyRef) []string

	Ref       custody.KeyRef // once a Create returned
	Begun     bool           // a Destroy was called
	Destroyed bool           // a Destroy returned

	wrapped  []byte // a wrapping of "seed" under Ref
	evidence []byte
}

// Do makes one call and holds its answer to what was known when it began. Only
// a call beside a fault may fail for no reason of the label's own.
func (l *Label) Do(k custody.Keeper, op string, faulty *bool) {
	if l.Ref == "" && op != "create" {
		return
	}
	dead := l.Destroyed
	var err error
	switch op {
	case "create":
		err = l.create(k)
	case "use":
		err = l.use(k, &dead)
	case "status":
		if err = l.status(k); err == nil {
			return
		}
	case "destroy":
		l.Begun = true
		if err = l.destroy(k); err == nil {
			return
		}
	}
	switch {
	case err == nil && dead:
		l.Failf("%s after the destruction was acknowledged: succeeded", op)
	case errors.Is(err, custody.ErrDestroyed) && (!l.Begun || op == "status" || op == "destroy"):
		l.Failf("%s: %v; destroy called: %v", op, err, l.Begun)
	case errors.Is(err, custody.ErrNotFound), errors.Is(err, custody.ErrCorrupt):
		l.Failf("%s: %v", op, err)
	case err != nil && !errors.Is(err, custody.ErrDestroyed) && !*faulty:
		l.Failf("%s: %v, without a fault", op, err)
	}
}

func (l *Label) create(k custody.Keeper) error {
	ref, err := k.Create(context.Background(), l.Name)
	if err != nil {
		return err
	}
	if l.Ref != "" && ref != l.Ref {
		l.Failf("create gives %s, another got %s", ref, l.Ref)
	}
	l.Ref = ref
	return nil
}

func (l *Label) use(k custody.Keeper, dead *bool) error {
	w, err := k.Wrap(context.Background(), l.Ref, [32]byte{1}, []byte("seed"))
	if err != nil {
		return err
	}
	if *dead {
		return nil
	}
	l.wrapped, *dead = w, l.Destroyed
	secret, err := k.Unwrap(context.Background(), l.Ref, [32]byte{1}, l.wrapped)
	if err == nil && string(secret) != "seed" {
		l.Failf("unwrap gives %q", secret)
	}
	return err
}

func (l *Label) status(k custody.Keeper) error {
	dead := l.Destroyed
	s, err := k.Status(context.Background(), l.Ref)
	if err != nil {
		return err
	}
	if s.State == custody.Unknown || s.State != custody.Alive && !l.Begun || s.State != custody.Destroyed && dead {
		l.Failf("state %d; destroy called: %v, acknowledged: %v", s.State, l.Begun, dead)
	}
	if s.State == custody.Destroyed {
		l.nothingLeft()
	}
	return nil
}

func (l *Label) destroy(k custody.Keeper) error {
	d, err := k.Destroy(context.Background(), l.Ref)
	if err != nil {
		return err
	}
	if d.State != custody.Destroyed || d.Ref != l.Ref || d.At.IsZero() {
		l.Failf("acknowledged %+v", d)
	}
	if l.evidence != nil && !bytes.Equal(l.evidence, d.Evidence) {
		l.Failf("evidence %q, another got %q", d.Evidence, l.evidence)
	}
	l.Destroyed, l.evidence = true, d.Evidence
	l.nothingLeft()
	return nil
}

func (l *Label) nothingLeft() {
	for _, where := range l.Left(l.Ref) {
		l.Failf("destroyed, yet its key is in %s", where)
	}
}

// Recover does what any later client does, without faults, and finishes what
// others began.
func (l *Label) Recover(k custody.Keeper) {
	faulty, had := false, l.Ref
	for _, op := range []string{"create", "status", "use"} {
		l.Do(k, op, &faulty)
	}
	if l.Begun {
		for _, op := range []string{"destroy", "create", "use", "status"} {
			l.Do(k, op, &faulty)
		}
		if !l.Destroyed {
			l.Failf("a repeated Destroy did not finish")
		}
	} else if had != "" && l.Ref != had {
		l.Failf("the label's key was %s, is %s", had, l.Ref)
	}
	var listed []custody.KeyRef
	for ref, err := range k.List(context.Background(), "") {
		if err != nil {
			l.Failf("list: %v", err)
		}
		listed = append(listed, ref)
	}
	if l.Ref != "" && (len(listed) != 1 || listed[0] != l.Ref) {
		l.Failf("list yields %q, want %s", listed, l.Ref)
	}
}
