package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/disposal"
)

func decommissionVerifyCommand() *command {
	return &command{
		name: "verify", args: "ID", usage: "attack a disposal again: try to open what was destroyed",
		about:   "Every key that was destroyed is tried with everything storage has, old versions included, and in the same session each keeper must open something that is to open. Exits with 13 if anything opened, and 18 if it could not be shown that nothing does.",
		example: "aivault decommission verify 5f0c…",
		json:    attackedJSON{},
		run:     runDecommissionVerify,
	}
}

type attackedJSON struct {
	Schema  string            `json:"schema"`
	ID      string            `json:"id"`
	Result  string            `json:"result"` // the worst
	Reports []disposal.Report `json:"reports"`
}

func runDecommissionVerify(ctx context.Context, c *call) error {
	id, err := disposalID(c.args[0])
	if err != nil {
		return err
	}
	_, d, err := c.desk(ctx, "", true)
	if err != nil {
		return err
	}
	reports, failed := d.Verify(ctx, id)
	if reports == nil {
		return failed
	}
	object := attackedJSON{Schema: c.out.schema(), ID: id.String(), Result: "verified", Reports: reports}
	for _, r := range reports {
		if r.Result == "failed" || object.Result == "verified" {
			object.Result = r.Result
		}
	}
	if err := c.out.result(object, object.Result, func(w io.Writer) {
		for _, r := range reports {
			refused := 0
			for _, t := range r.Attack.Tries {
				if t.Outcome == "refused" {
					refused++
				}
			}
			fmt.Fprintf(w, "%s: %d of %s refused, %s, %s of living keys searched\n", r.Result, refused, plural(len(r.Attack.Tries), "attempt"),
				plural(len(r.Attack.Controls), "control"), plural(r.Attack.Tables, "table"))
			if doubt := r.Attack.Doubt(); doubt != "" {
				fmt.Fprintf(w, "  %s\n", printable(doubt))
			}
			for _, x := range r.Attack.Exposures {
				fmt.Fprintf(w, "  version %s stands in %s, which opens\n", x.VID, x.Object)
			}
		}
	}); err != nil {
		return err
	}
	return failed
}

func decommissionCertificateCommand() *command {
	return &command{
		name: "certificate", args: "ID", usage: "print the certificate of a disposal",
		about:   "As JSON (what is signed, and the details that it binds), as a web page for people, or as a bundle: the certificate with the journals that prove it, which aivault certificate verify judges offline. Whoever has a bundle sees all that members see of these journals.",
		example: "aivault decommission certificate 5f0c… --format html --out certificate.html\naivault decommission certificate 5f0c… --format bundle --out certificate.bundle",
		flags: flagList(
			textFlag("format", "json|html|bundle", "in what form (default json)"),
			textFlag("out", "FILE", "write it there instead of to standard output; the file must not be there yet"),
		),
		json: certificateJSON{},
		run:  runDecommissionCertificate,
	}
}

type certificateJSON struct {
	Schema  string          `json:"schema"`
	ID      string          `json:"id"`
	Format  string          `json:"format"`
	Out     string          `json:"out,omitempty"`
	Content json.RawMessage `json:"content,omitempty"` // without --out; a page is a string
}

func runDecommissionCertificate(ctx context.Context, c *call) error {
	id, err := disposalID(c.args[0])
	if err != nil {
		return err
	}
	_, d, err := c.desk(ctx, "", false)
	if err != nil {
		return err
	}
	object := certificateJSON{Schema: c.out.schema(), ID: id.String(), Format: cmp.Or(c.flags.String("format"), "json"), Out: c.flags.String("out")}
	b, err := certificateAs(ctx, d, id, object.Format)
	if err != nil {
		return err
	}
	if object.Out != "" {
		if err := writeNew(object.Out, b); err != nil {
			return err
		}
		return c.out.result(object, object.Out, func(w io.Writer) {
			fmt.Fprintf(w, "The certificate of disposal %s is in %s\n", id, printable(object.Out))
		})
	}
	if object.Content = b; object.Format == "html" {
		if object.Content, err = json.Marshal(string(b)); err != nil {
			return err
		}
	}
	if c.set.json {
		return c.out.result(object, "", nil)
	}
	_, err = c.out.Write(b)
	return err
}

func certificateAs(ctx context.Context, d *disposal.Desk, id canonical.ID, format string) ([]byte, error) {
	var b bytes.Buffer
	switch format {
	case "bundle":
		return d.Bundle(ctx, id)
	case "json":
		cert, err := d.Certificate(ctx, id)
		if err == nil {
			err = encode(&b, cert)
		}
		return b.Bytes(), err
	case "html":
		s, err := d.Status(ctx, id)
		if err != nil {
			return nil, err
		}
		cert, err := d.Certificate(ctx, id)
		if err == nil {
			err = cert.WritePage(&b, d.Acceptance(s), s.Removals)
		}
		return b.Bytes(), err
	}
	return nil, usage("--format %q: json, html or bundle", format)
}

// writeNew writes a file that is not there yet.
func writeNew(file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return usage("--out: %w", err)
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

func decommissionRemovedCommand() *command {
	return &command{
		name: "attest-removed", args: "ID", usage: "record that a holder of plaintext attests its removal",
		about:   "Destroying keys does not reach plaintext that was pulled. This records who held some, who attests that it is gone, and what they handed in.",
		example: "aivault decommission attest-removed 5f0c… --holder 'serving cluster eu-1' --by 'Olaf Ops, platform team' --file statement.pdf",
		flags: flagList(
			textFlag("holder", "NAME", "who or what held plaintext"),
			textFlag("by", "NAME", "who attests that it is gone"),
			textFlag("file", "FILE", "what they handed in, kept sealed in the vault; at most 1 MiB"),
		),
		json: disposalChangedJSON{},
		run:  runDecommissionRemoved,
	}
}

func runDecommissionRemoved(ctx context.Context, c *call) error {
	holder, by := strings.TrimSpace(c.flags.String("holder")), strings.TrimSpace(c.flags.String("by"))
	if holder == "" || by == "" {
		return usage("--holder and --by are needed: they stay on record")
	}
	var document []byte
	if file := c.flags.String("file"); file != "" {
		f, err := os.Open(file)
		if err != nil {
			return usage("--file: %w", err)
		}
		defer f.Close()
		if document, err = io.ReadAll(io.LimitReader(f, disposal.MaxDocument+1)); err != nil {
			return usage("--file: %w", err)
		}
	}
	return c.changeDisposal(ctx, "removal recorded", func(d *disposal.Desk, id canonical.ID) error {
		return d.AttestRemoved(ctx, id, holder, by, document)
	})
}

func certificateCommand() *command {
	return &command{
		name: "certificate", usage: "certificates of disposal",
		example: "aivault certificate verify certificate.bundle --genesis DIGEST",
		sub: []*command{{
			name: "verify", args: "FILE", usage: "judge a certificate's bundle offline",
			about:   "Takes no vault, no network and no identity: the genesis alone says which vault it must be. Signatures, membership, roles, policy, approvals, keys and the attack are held against the journals in the bundle, and those, with --witness KEY, against what that witness has cosigned. What was appended to the journals after it was made, nobody can see from it.",
			example: "aivault certificate verify certificate.bundle --genesis 50a41f81…",
			json:    judgedJSON{},
			run:     runCertificateVerify,
		}},
	}
}

type judgedJSON struct {
	Schema      string               `json:"schema"`
	OK          bool                 `json:"ok"`
	ID          string               `json:"id"`
	Genesis     string               `json:"genesis"`
	Effective   string               `json:"effective"`
	Versions    []string             `json:"versions"`
	Performed   disposal.Person      `json:"performed_by"`
	Approved    []disposal.Person    `json:"approved_by"`
	Accepted    *disposal.Act        `json:"accepted,omitempty"`
	VaultHead   string               `json:"vault_head"`
	Witnesses   []disposal.Witnessed `json:"witnesses"` // of the journals up to the certificate
	Certificate json.RawMessage      `json:"certificate"`
}

func runCertificateVerify(_ context.Context, c *call) error {
	if c.set.genesis.IsZero() {
		return usage("--genesis names the vault that the certificate must be of")
	}
	f, err := os.Open(c.args[0])
	if err != nil {
		return usage("%w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, disposal.MaxBundle+1))
	if err != nil {
		return err
	}
	j, err := disposal.Judge(b, c.set.genesis, c.set.witnesses...)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	d := &j.Certificate.Details
	var cert bytes.Buffer
	if err := encode(&cert, j.Certificate); err != nil {
		return err
	}
	object := judgedJSON{Schema: c.out.schema(), OK: true, ID: d.Disposal.String(), Genesis: d.Vault.String(), Effective: d.Effective.String(),
		Versions: []string{}, Performed: d.Performed, Approved: []disposal.Person{}, Accepted: j.Accepted, VaultHead: j.Vault.String(),
		Witnesses: append([]disposal.Witnessed{}, j.Witnesses...), Certificate: cert.Bytes()}
	for _, a := range d.Artefacts {
		for _, v := range a.Versions {
			object.Versions = append(object.Versions, fmt.Sprintf("%s@v%d", a.Name, v.Number))
		}
	}
	for _, a := range d.Approvals {
		object.Approved = append(object.Approved, a.By)
	}
	return c.out.result(object, object.ID, func(w io.Writer) {
		fmt.Fprintf(w, "The certificate is proven: disposal %s of %s took effect on %s\n", object.ID, printable(strings.Join(object.Versions, ", ")), object.Effective)
		fmt.Fprintf(w, "Performed by %s; approved by %s\n", printable(personText(object.Performed)), printable(peopleText(object.Approved)))
		if j.Accepted != nil {
			fmt.Fprintf(w, "Accepted by %s on %s\n", printable(personText(j.Accepted.By)), j.Accepted.Time)
		} else {
			fmt.Fprintln(w, "Not accepted by a custodian, as far as the bundle goes")
		}
		for _, x := range j.Witnesses {
			whose := ", whom only the vault's own policy names"
			if x.Trusted {
				whose = ", whom you trust"
			}
			fmt.Fprintf(w, "Journals: cosigned by %s%s, on %s\n", printable(x.Name), whose, x.Time.Format(time.RFC3339))
		}
		if len(j.Witnesses) == 0 {
			fmt.Fprintln(w, "Journals: not witnessed")
		}
		fmt.Fprintf(w, "The vault's journal ends at %s\n", object.VaultHead)
	})
}

func personText(p disposal.Person) string {
	if p.Line == "" {
		return p.Name
	}
	return p.Line + " (" + p.Name + ")"
}

func peopleText(list []disposal.Person) string {
	if len(list) == 0 {
		return "nobody"
	}
	parts := make([]string, len(list))
	for i, p := range list {
		parts[i] = personText(p)
	}
	return strings.Join(parts, ", ")
}
