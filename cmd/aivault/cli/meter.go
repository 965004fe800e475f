package cli

import (
	"golang.org/x/term"

	"github.com/aivault/aivault/cmd/aivault/cli/progress"
	"github.com/aivault/aivault/vault/transfer"
)

// meter returns what shows the progress of this run, as --progress says. It is
// closed when the run ends.
func (r *run) meter() *progress.Meter {
	fd := int(r.sys.errOut.Fd())
	m := progress.New(r.sys.stderr, r.progressMode(), r.sys.now, func() int {
		width, _, err := term.GetSize(fd)
		if err != nil {
			return 0
		}
		return width
	}, bytesText)
	r.closers = append(r.closers, m.Close)
	return m
}

// showProgress returns what a vault tells its progress to.
func (r *run) showProgress(what string) func(transfer.Progress) {
	m := r.meter()
	return func(p transfer.Progress) {
		m.Update(progress.Step{What: what, Done: p.Bytes, Reused: p.Reused, Saved: p.Saved})
	}
}

// progressMode decides what "auto" means: nothing where programs read, a line
// that moves on a terminal that can do that, else a line now and then, so that
// a CI system sees that something happens.
func (r *run) progressMode() progress.Mode {
	terminal, _ := r.sys.env("TERM")
	switch {
	case r.set.progress == "json":
		return progress.JSON
	case r.set.progress == "plain":
		return progress.Plain
	case r.set.progress == "none", r.set.json, r.set.quiet:
		return progress.None
	case isTerminal(r.sys.errOut) && terminal != "dumb":
		return progress.Line
	}
	return progress.Plain
}
