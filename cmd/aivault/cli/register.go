package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
)

func registerCommand() *command {
	return &command{
		name: "register", args: "ARTEFACT", usage: "bring an artefact into being, before anybody pushes to it",
		about:   "A first push by somebody who may does the same. Whoever may only push needs it done for them.",
		example: "aivault register team/fraud-detector",
		json:    registerJSON{},
		run:     runRegister,
	}
}

type registerJSON struct {
	Schema    string `json:"schema"`
	Changed   bool   `json:"changed"`
	Freshness string `json:"freshness"`
	Artefact  string `json:"artefact"`
	Head      string `json:"head"`
}

func runRegister(ctx context.Context, c *call) error {
	addressed, name, err := naming.ParseArtefact(c.args[0])
	if err != nil {
		return err
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	res, err := v.Register(ctx, name)
	if err != nil {
		return err
	}
	object := registerJSON{c.out.schema(), res.Changed, res.Freshness, res.Artefact, res.Head.String()}
	err = c.out.result(object, res.Artefact, func(w io.Writer) {
		if res.Changed {
			fmt.Fprintf(w, "%s is registered\n", printable(res.Artefact))
		} else {
			fmt.Fprintf(w, "%s was registered already\n", printable(res.Artefact))
		}
	})
	if err == nil && !res.Changed {
		err = c.unchanged()
	}
	return err
}
