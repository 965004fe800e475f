package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/aivault/aivault/crypto/identity"
)

func identityCommand() *command {
	return &command{
		name: "identity", usage: "a member's keys",
		example: "aivault identity new ~/.config/aivault/identity",
		sub: []*command{
			{
				name: "new", args: "FILE|-", usage: "make an identity, and print the line to hand to an admin",
				about:   "The file holds the keys that make you a member: who has it can act as you. It is never overwritten. With - it goes to stdout, for a secrets manager, and the line to stderr.",
				example: "aivault identity new ~/.config/aivault/identity\naivault identity new --passphrase ./me.identity\naivault identity new - | vault kv put secret/aivault identity=-",
				flags:   flagList(boolFlag("passphrase", "protect the file with a passphrase: of AIVAULT_PASSPHRASE_FILE, or asked for")),
				json:    identityJSON{},
				run:     identityNew,
			},
			{
				name: "show", usage: "print the line to hand to an admin",
				about:   "The line is public. The fingerprint is for two people to compare by voice.",
				example: "aivault identity show\naivault identity show --quiet > alice.pub",
				json:    identityJSON{},
				run:     identityShow,
			},
			{
				name: "rotate", args: "NEW", usage: "replace your own keys by those of another identity",
				about:   "NEW is an identity that aivault identity new made, in any form that --identity takes. Signed with both. The old keys serve on for --overlap, on machines that have them still; all that was sealed to you opens with the new ones. For a key that was lost or stolen this is not enough: an admin runs aivault member rekey.",
				example: "aivault identity new ./next && aivault identity rotate ./next --overlap 72h",
				flags:   flagList(&cli.StringFlag{Name: "overlap", Value: "0s", Usage: "`DURATION` how long the old keys serve on (default 0s)"}),
				json:    changeJSON{},
				run:     identityRotate,
			},
		},
	}
}

type identityJSON struct {
	Schema      string `json:"schema"`
	Changed     *bool  `json:"changed,omitempty"`
	File        string `json:"file,omitempty"`
	Public      string `json:"public"`
	Fingerprint string `json:"fingerprint"`
}

func identityNew(ctx context.Context, c *call) error {
	path := c.args[0]
	if path == "-" && c.set.json {
		return usage("--json does not print secrets; use identity new - without it")
	}
	id, err := identity.New()
	if err != nil {
		return err
	}
	text := id.Reveal()
	if c.flags.Bool("passphrase") {
		phrase, err := c.newPassphrase(ctx)
		if err != nil {
			return err
		}
		if text, err = id.Protect(phrase); err != nil {
			return err
		}
	}
	if path == "-" {
		if _, err := c.out.Write(text); err != nil {
			return err
		}
		fmt.Fprintln(c.sys.stderr, id.Public())
		return nil
	}
	if err := identity.WriteFile(path, text); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return hint(usage("%s exists; an identity is never overwritten", path), "choose another file")
		}
		return err
	}
	changed := true
	return c.showIdentity(identityJSON{Changed: &changed, File: path}, id.Public())
}

// newPassphrase finds the passphrase for a new identity.
func (r *run) newPassphrase(ctx context.Context) (string, error) {
	if path, _ := r.sys.env(passphraseVariable); path != "" {
		return r.readPassphrase(path)
	}
	if !r.mayAsk() {
		return "", usage("--passphrase needs %s, or a terminal to ask on", passphraseVariable)
	}
	one, err := r.askPassphrase(ctx, "New passphrase")
	if err != nil {
		return "", err
	}
	two, err := r.askPassphrase(ctx, "The same again")
	switch {
	case err != nil:
		return "", err
	case one == "":
		return "", usage("the passphrase is empty")
	case one != two:
		return "", usage("the passphrases differ; nothing was written")
	}
	return one, nil
}

func identityShow(ctx context.Context, c *call) error {
	id, err := c.identity(ctx)
	if err != nil {
		return err
	}
	return c.showIdentity(identityJSON{}, id.Public())
}

func (c *call) showIdentity(object identityJSON, public identity.Public) error {
	object.Schema, object.Public, object.Fingerprint = c.out.schema(), public.String(), public.Fingerprint()
	err := c.out.result(object, object.Public, func(w io.Writer) { fmt.Fprintln(w, object.Public) })
	c.note("Fingerprint: %s", object.Fingerprint)
	if object.File != "" {
		c.note("Written to %s. Whoever has that file can act as you; an admin needs the line above.", printable(object.File))
	}
	return err
}
