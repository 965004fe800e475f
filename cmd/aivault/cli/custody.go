package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func custodyCommand() *command {
	return &command{
		name: "custody", usage: "keys, and who keeps them",
		example: "aivault custody status",
		sub: []*command{
			{
				name: "status", usage: "how the keys of all artefacts stand",
				about:   "By what the journals say. `superseded` keys of earlier epochs still open what they opened; `pending` versions are not sealed to the readers of now yet. Both end with aivault custody rotate, by who may.",
				example: "aivault custody status --json",
				json:    custodyStatusJSON{}, run: custodyStatus,
			},
			{
				name: "rotate", args: "ARTEFACT", usage: "bring a new key into force, and destroy the old ones",
				about:   "A reader's rotation also seals versions to the readers of now. Destroying takes a custodian or runner whose keeper credential may; what is left is said, and the exit code is 3.",
				example: "aivault custody rotate team/fraud-detector",
				json:    custodyRotateJSON{}, run: custodyRotate,
			},
			custodyMigrateCommand(),
		},
	}
}

type custodyStatusJSON struct {
	Schema    string             `json:"schema"`
	Freshness string             `json:"freshness"`
	Mode      string             `json:"mode"`
	Keepers   []pinnedKeeperJSON `json:"keepers"`
	Artefacts []artefactKeysJSON `json:"artefacts"`
	Head      string             `json:"head"`
}

type pinnedKeeperJSON struct {
	Instance string `json:"instance"`
	Kind     string `json:"kind"`
	Reached  bool   `json:"reached"`
	Why      string `json:"why,omitempty"`
}

type artefactKeysJSON struct {
	Artefact   string `json:"artefact"`
	Epoch      string `json:"epoch,omitempty"`
	Ended      bool   `json:"ended"`
	InCustody  bool   `json:"in_custody"`
	Epochs     int    `json:"epochs"`
	Superseded int    `json:"superseded"`
	Pending    int    `json:"pending"`
}

func custodyStatus(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	s, err := v.CustodyStatus(ctx)
	if err != nil {
		return err
	}
	object := custodyStatusJSON{Schema: c.out.schema(), Freshness: s.Freshness, Mode: s.Mode, Keepers: []pinnedKeeperJSON{}, Artefacts: []artefactKeysJSON{}, Head: s.Head.String()}
	for _, k := range s.Keepers {
		object.Keepers = append(object.Keepers, pinnedKeeperJSON{k.Instance, k.Kind, k.Reached, k.Why})
	}
	for _, a := range s.Artefacts {
		epoch := ""
		if !a.Epoch.IsZero() {
			epoch = a.Epoch.String()
		}
		object.Artefacts = append(object.Artefacts, artefactKeysJSON{a.Artefact, epoch, a.Ended, a.InCustody, a.Epochs, a.Superseded, a.Pending})
	}
	return c.out.result(object, s.Mode, func(w io.Writer) {
		fmt.Fprintf(w, "Mode      %s\n", s.Mode)
		for _, k := range object.Keepers {
			state := "reached"
			if !k.Reached {
				state = "not reached: " + k.Why
			}
			fmt.Fprintf(w, "Keeper    %s (%s), %s\n", printable(k.Instance), printable(k.Kind), printable(state))
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		if len(s.Artefacts) > 0 {
			writeRow(t, []string{"ARTEFACT", "EPOCH", "SUPERSEDED", "PENDING"})
		}
		for _, a := range object.Artefacts {
			epoch := a.Epoch
			if a.Ended {
				epoch = "ended"
			}
			writeRow(t, []string{a.Artefact, orDash(epoch), fmt.Sprint(a.Superseded), fmt.Sprint(a.Pending)})
		}
		t.Flush()
	})
}

type custodyRotateJSON struct {
	Schema    string        `json:"schema"`
	Changed   bool          `json:"changed"`
	Freshness string        `json:"freshness"`
	Artefact  string        `json:"artefact"`
	Epoch     string        `json:"epoch"`
	Survivors int           `json:"survivors"`
	Waiting   []waitingJSON `json:"waiting"`
	Head      string        `json:"head"`
}

func custodyRotate(ctx context.Context, c *call) error {
	addressed, name, err := naming.ParseArtefact(c.args[0])
	if err != nil {
		return err
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	r, err := v.CustodyRotate(ctx, name)
	if err != nil {
		return err
	}
	waiting := c.changeOf(name, &vault.Change{}, r.Settlement)
	object := custodyRotateJSON{c.out.schema(), true, r.Freshness, name, r.Epoch.String(), r.Survivors, waiting.Waiting, r.Head.String()}
	err = c.out.result(object, object.Epoch, func(w io.Writer) {
		fmt.Fprintf(w, "%s: epoch %s in force, carrying %s\n", printable(name), object.Epoch, plural(r.Survivors, "version"))
		waiting.people(w)
	})
	if err == nil && len(object.Waiting) > 0 {
		return hint(fmt.Errorf("%w: %s for somebody else", errPartial, waits(len(object.Waiting))), "whoever may runs the same command again")
	}
	return err
}
