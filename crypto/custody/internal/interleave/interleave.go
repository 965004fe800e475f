// Package interleave runs the callers of a keeper one visible step at a time, in
// an order that a test chooses, so that every race that can happen happens on
// purpose and again; and it holds what they are told to what was known before.
// Only tests import it.
package interleave

// Run runs the actors until all are done. An actor calls pause before each
// thing that others can see; only one actor is ever between two pauses. choose
// picks which of n waiting actors goes on, a number below n.
//
// If choose panics, as rapid does to give up, the actors still run to their
// ends before Run does.
func Run(choose func(n int) int, actors ...func(pause func())) {
	type actor struct {
		turn chan struct{}
		stop chan bool // true: done
	}
	waiting := make([]actor, len(actors))
	for i, f := range actors {
		a := actor{make(chan struct{}), make(chan bool)}
		waiting[i] = a
		go func() {
			<-a.turn
			f(func() {
				a.stop <- false
				<-a.turn
			})
			a.stop <- true
		}()
	}
	step := func(i int) {
		waiting[i].turn <- struct{}{}
		if done := <-waiting[i].stop; done {
			waiting = append(waiting[:i], waiting[i+1:]...)
		}
	}
	defer func() {
		for len(waiting) > 0 {
			step(0)
		}
	}()
	for len(waiting) > 0 {
		step(choose(len(waiting)))
	}
}
