package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/handover"
)

func transferCommand() *command {
	return &command{
		name: "transfer", args: "REF", usage: "hand a version over to a new owner, on record",
		about:   "For custodians who may read it. The journal says that the version is handed over before the first byte is written; then FILE gets the version's files and transfer.json, which describes them, sealed to RECIPIENT alone: one age file, which the new owner opens with stock tools (age 1.3 or newer). It appears only when it is whole and everything in it is verified; no plaintext touches this machine's disk. The version lives on here: dispose of it when the new owner has confirmed that they hold it; a request asks for that decision, and certificates list who it was handed over to.",
		example: "aivault transfer fraud-detector@v3 --to age1pq1… --owner 'Nova Models Ltd' --reason 'sale of the product' --out fraud-detector-v3.age\nage -d -i IDENTITY fraud-detector-v3.age | tar -x   # the new owner: transfer.json, and the files in files/",
		flags: flagList(
			textFlag("to", "RECIPIENT", "the new owner's: age1pq1…, or the public line of aivault identity show"),
			textFlag("out", "FILE", "what to hand over; it must not be there yet"),
			textFlag("owner", "TEXT", "who the new owner is, as certificates quote it"),
			textFlag("reason", "TEXT", "why, for the record"),
			boolFlag("dry-run", "verify that it could be handed over, and change nothing"),
		),
		json: transferJSON{},
		run:  runTransfer,
	}
}

type transferJSON struct {
	Schema    string `json:"schema"`
	Changed   bool   `json:"changed"`
	Freshness string `json:"freshness"`
	Artefact  string `json:"artefact"`
	Version   int    `json:"version"`
	Ref       string `json:"ref"`
	Digest    string `json:"digest"`
	Recipient string `json:"recipient_sha256"` // of its text
	Owner     string `json:"owner,omitempty"`
	Out       string `json:"out"`
	Files     int64  `json:"files"`
	Bytes     int64  `json:"bytes"`
	Sealed    int64  `json:"sealed_bytes"`
	SHA256    string `json:"sealed_sha256,omitempty"`
	Receipt   string `json:"receipt,omitempty"`
	Dispose   string `json:"dispose"` // the command that requests the disposal here
	Head      string `json:"head"`
}

func runTransfer(ctx context.Context, c *call) error {
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	o := vault.TransferOptions{Owner: strings.TrimSpace(c.flags.String("owner")), Reason: strings.TrimSpace(c.flags.String("reason")), DryRun: c.flags.Bool("dry-run")}
	if o.To, err = parseRecipient(c.flags.String("to")); err != nil {
		return err
	}
	out := c.flags.String("out")
	if out == "" {
		return usage("--out is needed: the file to hand over")
	}
	if _, err := os.Lstat(out); err == nil {
		return usage("--out: %s is there already", out)
	}
	v, err := c.openShowing(ctx, addressed, "transfer "+ref.String())
	if err != nil {
		return err
	}
	res, err := v.Transfer(ctx, ref, out, o)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s@v%d", res.Artefact, res.Version)
	object := transferJSON{Schema: c.out.schema(), Changed: !o.DryRun, Freshness: res.Freshness, Artefact: res.Artefact, Version: res.Version, Ref: name,
		Digest: "sha256:" + res.Digest.String(), Recipient: handover.Fingerprint(o.To.String()), Owner: o.Owner, Out: out,
		Files: res.Files, Bytes: res.Bytes, Sealed: res.Sealed, Receipt: res.Receipt, Head: res.Head.String()}
	object.Dispose = fmt.Sprintf("aivault decommission request %s --reason 'handed over to %s' --decide transfer:%s=received",
		name, strings.ReplaceAll(cmp.Or(o.Owner, "a new owner"), "'", `'\''`), name)
	if !o.DryRun {
		object.SHA256 = res.SHA256.String()
	}
	err = c.out.result(object, object.Ref, func(w io.Writer) { writeTransfer(w, object) })
	if res.Receipt == vault.ReceiptFailed {
		c.log.Warn("no receipt of this transfer could be left; policy does not require one")
	}
	return err
}

func writeTransfer(w io.Writer, o transferJSON) {
	fmt.Fprintf(w, "%s  %s\n", printable(o.Ref), o.Digest)
	if !o.Changed {
		fmt.Fprintf(w, "%s, %s, could be handed over to %s; nothing was written, nothing stands on record\n", plural(int(o.Files), "file"), bytesText(o.Bytes), printable(ownerText(o)))
		return
	}
	fmt.Fprintf(w, "%s, %s, verified and sealed to %s in %s\nSHA-256 of that file: %s\n",
		plural(int(o.Files), "file"), bytesText(o.Bytes), printable(ownerText(o)), printable(o.Out), o.SHA256)
	fmt.Fprintf(w, "The new owner opens it: age -d -i IDENTITY %s | tar -x; and stores the directory files: aivault push ARTEFACT files\n", printable(o.Out))
	fmt.Fprintf(w, "It lives on here. When they have confirmed that they hold it, request its disposal:\n  %s\n", printable(o.Dispose))
}

func ownerText(o transferJSON) string {
	if o.Owner == "" {
		return "recipient " + o.Recipient
	}
	return o.Owner
}

// parseRecipient reads an age hybrid recipient, or a member's public line.
func parseRecipient(text string) (*seal.Recipient, error) {
	if text == "" {
		return nil, usage("--to is needed: the recipient of the new owner")
	}
	if strings.HasPrefix(text, "aivault1:") {
		p, err := identity.ParsePublic(text)
		if err != nil {
			return nil, usage("--to: %w", err)
		}
		return p.Recipient, nil
	}
	r, err := seal.ParseRecipient(text)
	if err != nil {
		return nil, usage("--to: %w; it is an age1pq1… line (age-keygen -pq makes one), or what aivault identity show prints", err)
	}
	return r, nil
}
