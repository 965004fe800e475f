package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
)

func holdCommand() *command {
	return &command{
		name: "hold", usage: "freeze against disposal",
		about:   "A hold, for a legal case or an incident, comes before everything else: what it covers is not disposed of, no key of it is destroyed, nothing of it is purged or collected. Only somebody else than who placed it can release it.",
		example: "aivault hold place fraud-detector@v3 --reason 'case 4711'\naivault hold list\naivault hold release ID --reason 'case closed'",
		sub: []*command{
			{
				name: "place", args: "REF", usage: "place a hold on a version, or on an artefact and all its versions to come",
				about:   "REF is a version (ARTEFACT@vN and the like), or an ARTEFACT: then versions to come are covered too.",
				example: "aivault hold place fraud-detector@v3 --reason 'case 4711' --review P6M",
				flags: flagList(
					textFlag("reason", "TEXT", "why, for the record"),
					textFlag("review", "TIME", "look at it again then: a date, or a duration from now; it ends nothing"),
				),
				json: heldJSON{}, run: runHoldPlace,
			},
			{
				name: "release", args: "ID", usage: "release a hold that somebody else has placed",
				example: "aivault hold release 8a31… --reason 'case closed'",
				flags:   flagList(textFlag("reason", "TEXT", "why, for the record")),
				json:    heldJSON{}, run: runHoldRelease,
			},
			{
				name: "list", usage: "list the holds in force",
				example: "aivault hold list",
				json:    heldJSON{}, run: runHoldList,
			},
		},
	}
}

type heldJSON struct {
	Schema    string     `json:"schema"`
	Changed   bool       `json:"changed"`
	Freshness string     `json:"freshness"`
	ID        string     `json:"id"`
	Artefact  string     `json:"artefact"`
	Versions  []int      `json:"versions"` // none: the artefact, versions to come included
	By        string     `json:"by"`
	Time      time.Time  `json:"time"`
	Reason    string     `json:"reason"`
	Review    *time.Time `json:"review,omitempty"`
	Head      string     `json:"head,omitempty"`
}

func (c *call) heldObject(v *vault.Vault, h *vault.HoldInfo, changed bool) heldJSON {
	o := heldJSON{Schema: c.out.schema(), Changed: changed, Freshness: v.Freshness(), ID: h.ID.String(), Artefact: h.Artefact,
		Versions: append([]int{}, h.Versions...), By: h.By, Time: h.Time.UTC(), Reason: h.Reason, Head: h.Head.String()}
	if !h.Review.IsZero() {
		review := h.Review.UTC()
		o.Review = &review
	}
	return o
}

// heldText names what a hold covers.
func heldText(h *vault.HoldInfo) string {
	if len(h.Versions) == 0 {
		return h.Artefact
	}
	parts := make([]string, len(h.Versions))
	for i, n := range h.Versions {
		parts[i] = fmt.Sprintf("%s@v%d", h.Artefact, n)
	}
	return strings.Join(parts, " ")
}

func runHoldPlace(ctx context.Context, c *call) error {
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	reason, err := c.reason()
	if err != nil {
		return err
	}
	review, err := c.when("review")
	if err != nil {
		return err
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	h, err := v.PlaceHold(ctx, ref, reason, review)
	if err != nil {
		return err
	}
	return c.out.result(c.heldObject(v, h, true), h.ID.String(), func(w io.Writer) {
		fmt.Fprintf(w, "Hold %s is placed on %s; somebody else can release it\n", h.ID, printable(heldText(h)))
	})
}

func runHoldRelease(ctx context.Context, c *call) error {
	id, err := canonical.ParseID(c.args[0])
	if err != nil {
		return usage("%q is no id of a hold: aivault hold list shows them", c.args[0])
	}
	reason, err := c.reason()
	if err != nil {
		return err
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	h, err := v.ReleaseHold(ctx, id, reason)
	if err != nil {
		return err
	}
	return c.out.result(c.heldObject(v, h, true), h.ID.String(), func(w io.Writer) {
		fmt.Fprintf(w, "Hold %s on %s is released\n", h.ID, printable(heldText(h)))
	})
}

func runHoldList(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	holds, err := v.Holds(ctx)
	if err != nil {
		return err
	}
	return table(c.out, holds,
		func(h vault.HoldInfo) any { return c.heldObject(v, &h, false) },
		[]string{"ID", "WHAT", "BY", "SINCE", "REVIEW", "REASON"},
		func(h vault.HoldInfo) []string {
			return []string{h.ID.String(), heldText(&h), h.By, timeText(h.Time), timeText(h.Review), h.Reason}
		})
}
