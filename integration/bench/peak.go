package main

import "time"

// peakInterval is how often a process is asked for its largest size so far.
const peakInterval = 10 * time.Millisecond

// peak follows the largest resident size of a process. What wait(2) tells is of
// no use for small programs: on Linux it is at least the size that the process
// that started them had.
type peak struct {
	quit, done chan struct{}
	most       int64
}

func watchPeak(pid int) *peak {
	p := &peak{quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(peakInterval)
		defer tick.Stop()
		for {
			p.most = max(p.most, peakOf(pid))
			select {
			case <-p.quit:
				return
			case <-tick.C:
			}
		}
	}()
	return p
}

// stop returns the largest size seen.
func (p *peak) stop() int64 {
	close(p.quit)
	<-p.done
	return p.most
}
