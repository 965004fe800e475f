package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/aivault/aivault/vault"
)

type waitingJSON struct {
	Artefact string `json:"artefact"`
	What     string `json:"what"`
	Who      string `json:"who"`
}

type proposalJSON struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"`
	What   string   `json:"what"`
	By     string   `json:"by"`
	Signed []string `json:"signed"`
	Lacks  int      `json:"lacks"`
}

// changeJSON is the result of an act on members, groups or policy.
type changeJSON struct {
	Schema     string         `json:"schema"`
	Changed    bool           `json:"changed"`
	Freshness  string         `json:"freshness"`
	Name       string         `json:"name"`
	Head       string         `json:"head"`
	Proposal   *proposalJSON  `json:"proposal,omitempty"`
	Proposals  []proposalJSON `json:"proposals,omitempty"` // of member approve without an argument
	Fenced     []string       `json:"fenced"`
	NewReaders []string       `json:"new_readers"`
	Rotated    []string       `json:"rotated"`
	Waiting    []waitingJSON  `json:"waiting"`
}

func proposalOf(p *vault.Proposal) *proposalJSON {
	if p == nil {
		return nil
	}
	return &proposalJSON{p.ID, p.Kind, p.What, p.By, nonNil(p.Signed), p.Lacks}
}

func (c *call) changeOf(name string, change *vault.Change, s *vault.Settlement) changeJSON {
	if s == nil {
		s = &vault.Settlement{}
	}
	object := changeJSON{Schema: c.out.schema(), Changed: change.Changed || len(s.Fenced)+len(s.Resized)+len(s.Rotated) > 0, Freshness: change.Freshness,
		Name: name, Head: change.Head.String(), Proposal: proposalOf(change.Proposal), Fenced: nonNil(s.Fenced), NewReaders: nonNil(s.Resized),
		Rotated: nonNil(s.Rotated), Waiting: []waitingJSON{}}
	for _, w := range s.Waiting {
		object.Waiting = append(object.Waiting, waitingJSON{w.Artefact, w.What, w.Who})
	}
	return object
}

// changed prints what an act led to. What waits for somebody makes it exit
// with 3; nothing to do with 4, where that was asked for.
func (c *call) changed(name, done string, change *vault.Change, s *vault.Settlement) error {
	object := c.changeOf(name, change, s)
	err := c.out.result(object, name, func(w io.Writer) {
		switch {
		case object.Proposal != nil:
			fmt.Fprintf(w, "proposed: %s\n", printable(object.Proposal.What))
		case object.Changed:
			fmt.Fprintf(w, "%s\n", printable(done))
		default:
			fmt.Fprintln(w, "nothing to do")
		}
		object.people(w)
	})
	switch {
	case err != nil:
		return err
	case object.Proposal != nil:
		return hint(fmt.Errorf("%w: %s must still sign", errPartial, plural(object.Proposal.Lacks, "admin")), "another admin runs aivault member approve "+object.Proposal.ID[:16])
	case len(object.Waiting) > 0:
		return hint(fmt.Errorf("%w: %s for somebody else", errPartial, waits(len(object.Waiting))), "whoever may runs the same command again, or what is said above")
	case !object.Changed:
		return c.unchanged()
	}
	return nil
}

func waits(n int) string {
	if n == 1 {
		return "1 thing waits"
	}
	return fmt.Sprintf("%d things wait", n)
}

func (o changeJSON) people(w io.Writer) {
	for _, l := range []struct {
		title string
		list  []string
	}{{"acknowledged in", o.Fenced}, {"new readers' keys for", o.NewReaders}, {"sealed to them anew", o.Rotated}} {
		if len(l.list) > 0 {
			fmt.Fprintf(w, "%s: %s\n", l.title, printable(strings.Join(l.list, " ")))
		}
	}
	for _, x := range o.Waiting {
		fmt.Fprintf(w, "%s: %s; waits for %s\n", printable(x.Artefact), printable(x.What), printable(x.Who))
	}
}
