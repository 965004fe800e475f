package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/evidence"
	"github.com/aivault/aivault/vault/state"
)

func attestCommand() *command {
	return &command{
		name: "attest", args: "REF", usage: "record signed evidence on exactly one version",
		about: "For developers, operators and custodians. The evidence is an in-toto statement, signed with your key, on the digest of the version: a new version starts without any. Every member reads it, and it outlives the version.\n\n" +
			"With --file a document is kept too: a version of the artefact ARTEFACT.evidence, sealed to the readers of ARTEFACT but under keys and a retention of its own, so that it outlives the weights. That takes who may push there.\n\n" +
			"With --scanner a plugin that the vault pins says how it went. The version is pulled into a temporary directory, every byte verified, and scanned there by a process of its own with limits on time and memory: pass, warn if anything was not understood, fail if anything is a danger. The report is kept as the document, without the names of files, which die with the version, and without messages. A scanner that fails leaves no evidence. The copy is removed; of a scan that is killed it stays, plaintext, in a directory aivault-scan-… there.\n\n" +
			"A test may say what it measured, and what that should have been: the result is then fail if a --threshold is not kept, and pass otherwise.",
		example: "aivault attest fraud-detector@v3 --scanner formats --expires P30D\naivault attest fraud-detector@v3 --type evaluation --name robustness --result pass --expires P90D --file report.pdf\naivault attest fraud-detector@v3 --type scan --result fail\naivault attest fraud-detector:prod --type monitoring --name drift --metric psi=0.31 --threshold 'psi<=0.2' --expires P7D",
		flags: flagList(
			textFlag("type", strings.Join(state.EvidenceTypes(), "|"), "what it is evidence of"),
			textFlag("name", "NAME", "which of several of this type"),
			textFlag("result", strings.Join(state.EvidenceResults(), "|"), "how it went"),
			listFlag("metric", "NAME=VALUE", "what a test measured, a decimal number; may be repeated"),
			listFlag("threshold", "NAME>=VALUE", "what the metric should be, at least, or at most (NAME<=VALUE); may be repeated"),
			textFlag("expires", "TIME", "it counts before then: a date, or a duration from now (default never)"),
			textFlag("file", "FILE", "a document to keep with it"),
			textFlag("scanner", "NAME[:CONFIG]", "pull the version, and let this plugin find out: evidence of type scan"),
			textFlag("scan-timeout", "DURATION", "how long the scanner may take (default 10m)"),
			textFlag("scan-memory", "BYTES", "how much data a process of the scanner may have, e.g. 512M, 8G (default 2G)"),
			boolFlag("no-report", "do not keep the scanner's report as a document"),
			textFlag("temp-dir", "DIR", "where what is scanned is put (default: the system's place)"),
		),
		json: attestJSON{}, run: runAttest,
		sub: []*command{{
			name: "list", args: "REF", usage: "list the evidence on a version, with its statements",
			about:   "Each statement is read and held against the journal; --json prints its DSSE envelope, which proves it to whoever has the member's public key. One that does not verify is listed as such, and the exit code is 13.",
			example: "aivault attest list fraud-detector@v3",
			json:    attestedJSON{}, run: runAttestList,
		}},
	}
}

type attestJSON struct {
	Schema       string            `json:"schema"`
	Changed      bool              `json:"changed"`
	Freshness    string            `json:"freshness"`
	Ref          string            `json:"ref"`
	Digest       string            `json:"digest"`
	Type         string            `json:"type"`
	Name         string            `json:"name,omitempty"`
	Result       string            `json:"result"`
	Document     string            `json:"document,omitempty"` // a reference
	Scan         *scanJSON         `json:"scan,omitempty"`
	Measurements []measurementJSON `json:"measurements,omitempty"`
	Head         string            `json:"head"`
}

// attestObject is what a pipeline reads of evidence that was recorded.
func attestObject(schema string, res *vault.AttestResult, o vault.AttestOptions) attestJSON {
	object := attestJSON{Schema: schema, Changed: true, Freshness: res.Freshness, Ref: fmt.Sprintf("%s@v%d", res.Artefact, res.Version),
		Digest: "sha256:" + res.Digest.String(), Type: o.Type, Name: o.Name, Result: o.Result, Head: res.Head.String(),
		Measurements: measurementObjects(o.Measurements)}
	if d := res.Document; d != nil {
		object.Document = fmt.Sprintf("%s@v%d", d.Artefact, d.Version)
	}
	return object
}

type attestedJSON struct {
	Schema    string       `json:"schema"`
	Freshness string       `json:"freshness"`
	Ref       string       `json:"ref"`
	Evidence  evidenceJSON `json:"evidence"`
	Key       string       `json:"key"` // id of the key that signed it
	Verified  bool         `json:"verified"`
	Problem   string       `json:"problem,omitempty"`
	Envelope  string       `json:"envelope,omitempty"` // DSSE, as JSON text

	Measurements []measurementJSON `json:"measurements,omitempty"`
}

func evidenceObject(artefact string, e state.Evidence) evidenceJSON {
	o := evidenceJSON{Type: e.Type, Name: e.Name, Result: e.Result, By: e.By, Time: e.Time.UTC()}
	if !e.Expires.IsZero() {
		t := e.Expires.UTC()
		o.Expires = &t
	}
	if d := e.Document.Digest; !d.IsZero() {
		o.Document = fmt.Sprintf("%s@sha256:%s", state.CompanionName(artefact), d)
	}
	return o
}

// text says it in a line.
func (e evidenceJSON) text() string {
	s := fmt.Sprintf("%s: %s, %s by %s", strings.TrimSpace(e.Type+" "+e.Name), e.Result, timeText(e.Time), e.By)
	if e.Expires != nil {
		s += ", until " + timeText(*e.Expires)
	}
	if e.Document != "" {
		s += ", document " + e.Document
	}
	return s
}

func runAttest(ctx context.Context, c *call) error {
	if c.flags.IsSet("scanner") {
		return c.attestByScan(ctx)
	}
	for _, f := range []string{"scan-timeout", "scan-memory", "no-report", "temp-dir"} {
		if c.flags.IsSet(f) {
			return usage("--%s goes with --scanner", f)
		}
	}
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	o := vault.AttestOptions{Type: c.flags.String("type"), Name: c.flags.String("name"), Result: c.flags.String("result"), File: c.flags.String("file")}
	if o.Measurements, err = parseMeasurements(c.flags.StringSlice("metric"), c.flags.StringSlice("threshold")); err != nil {
		return err
	}
	if o.Result == "" {
		o.Result = resultOf(o.Measurements)
	}
	if err := (&state.Attest{Type: o.Type, Name: o.Name, Result: o.Result}).Check(); err != nil {
		return usage("%w", err)
	}
	if err := evidence.CheckMeasurements(o.Type, o.Result, o.Measurements); err != nil {
		return usage("%w", err)
	}
	if o.Expires, err = c.when("expires"); err != nil {
		return err
	}
	if !o.Expires.IsZero() && !o.Expires.After(c.sys.now()) {
		return usage("--expires: that time is over")
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	res, err := v.Attest(ctx, ref, o)
	if err != nil {
		return err
	}
	object := attestObject(c.out.schema(), res, o)
	return c.out.result(object, object.Ref, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %s: %s\n", printable(object.Ref), printable(strings.TrimSpace(o.Type+" "+o.Name)), o.Result)
		for _, m := range object.Measurements {
			fmt.Fprintf(w, "  %s\n", printable(m.text()))
		}
		if object.Document != "" {
			fmt.Fprintf(w, "the document is %s\n", printable(object.Document))
		}
	})
}

func runAttestList(ctx context.Context, c *call) error {
	v, ref, err := c.openRef(ctx)
	if err != nil {
		return err
	}
	list, err := v.Evidence(ctx, ref)
	if err != nil {
		return err
	}
	var objects []attestedJSON
	bad := 0
	for _, e := range list.Evidence {
		o := attestedJSON{Schema: c.out.schema(), Freshness: list.Freshness, Ref: fmt.Sprintf("%s@v%d", list.Artefact, list.Version),
			Evidence: evidenceObject(list.Artefact, e.Evidence), Key: e.Key.String(), Verified: e.Envelope != nil, Problem: e.Problem}
		if e.Envelope == nil {
			bad++
		} else {
			b, err := e.Envelope.Marshal()
			if err != nil {
				return err
			}
			o.Envelope, o.Measurements = string(b), measurementObjects(e.Statement.Predicate.Evidence.Measurements)
		}
		objects = append(objects, o)
	}
	err = table(c.out, objects,
		func(o attestedJSON) any { return o },
		[]string{"TYPE", "NAME", "RESULT", "BY", "TIME", "EXPIRES", "DOCUMENT", "STATEMENT"},
		func(o attestedJSON) []string {
			expires, statement := time.Time{}, "verified"
			if o.Evidence.Expires != nil {
				expires = *o.Evidence.Expires
			}
			if !o.Verified {
				statement = o.Problem
			}
			e := o.Evidence
			return []string{e.Type, orDash(e.Name), e.Result, e.By, timeText(e.Time), timeText(expires), orDash(e.Document), statement}
		})
	if err == nil && bad > 0 {
		return fmt.Errorf("%s of %s: %w", plural(bad, "statement"), objects[0].Ref, vault.ErrIntegrity)
	}
	return err
}
