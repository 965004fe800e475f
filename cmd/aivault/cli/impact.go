package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/lineage"
)

func impactCommand() *command {
	return &command{
		name: "impact", args: "[REF…]", usage: "tell what is affected if something is suspect",
		about: "REF, or one of the flags, says what is suspect. Printed is everything that descends from it, through whatever number of artefacts, with the channels that point there and who has taken plaintext; what was evaluated with it, and so is not suspect itself; and a tokenizer, config or prompt of it. " +
			"What cannot be excluded, because somebody has not declared its lineage complete, is printed too, with exit code 3. Every member sees all of this, without a keeper; only for the SHA-256 of a file are versions opened, and those that you cannot open are open questions. " +
			"With --key it is what that key has signed: versions, evidence, approvals and moves of channels, and every other entry.",
		example: "aivault impact data/train@v3\naivault impact --source-url https://hub.example/set --between 2026-11-01 --between 2026-11-20\naivault impact --key 2d7d604d46da90a71238bd0167437dda2d7d604d46da90a71238bd0167437dda --json\naivault impact data/train@v3 --format svg > impact.svg",
		flags: flagList(
			textFlag("source-url", "URL", "what was got there, or below it"),
			textFlag("digest", "SHA256", "a version, or every version that holds a file with this SHA-256"),
			textFlag("key", "ID", "what was signed with this key: its id, as aivault member list --json prints it"),
			textFlag("scanner", "NAME", "what was scanned under this name of evidence"),
			listFlag("between", "TIME", "a window, its first and its last moment: of --key when it was signed, of --source-url when it was acquired"),
			textFlag("format", "table|json|cyclonedx|dot|svg", "how to print it (default table; --json means json). cyclonedx: a BOM with what it affects as a vulnerability"),
		),
		json: impactJSON{}, run: runImpact,
	}
}

type holderJSON struct {
	By     string            `json:"by"`
	Host   string            `json:"host,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Last   time.Time         `json:"last"`
	Times  int               `json:"times"`
	Owner  bool              `json:"owner"` // it was handed over
}

type graphVersionJSON struct {
	Ref         string   `json:"ref"`
	Artefact    string   `json:"artefact"`
	Version     int      `json:"version"`
	ID          string   `json:"id"`
	Digest      string   `json:"digest"`
	Kind        string   `json:"kind"`
	State       string   `json:"state"`
	Quarantined bool     `json:"quarantined"`
	Complete    bool     `json:"lineage_complete"`
	Channels    []string `json:"channels"`
}

type affectedJSON struct {
	graphVersionJSON
	Effect  string       `json:"effect"` // source, suspect, evidence or companion
	Why     string       `json:"why"`
	Via     string       `json:"via,omitempty"`
	Role    string       `json:"role,omitempty"`
	Steps   int          `json:"steps"`
	Holders []holderJSON `json:"holders"`
}

type unexcludedJSON struct {
	graphVersionJSON
	Why string `json:"why"`
}

type linkJSON struct {
	From string `json:"from"`
	To   string `json:"to"` // names From
	Role string `json:"role"`
}

type signedJSON struct {
	Journal string    `json:"journal"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	What    string    `json:"what"`
}

type impactJSON struct {
	Schema     string             `json:"schema"`
	Freshness  string             `json:"freshness"`
	Complete   bool               `json:"complete"`
	Versions   []affectedJSON     `json:"versions"`
	Ancestors  []graphVersionJSON `json:"ancestors"` // of the sources
	Links      []linkJSON         `json:"links"`
	Signed     []signedJSON       `json:"signed"`
	Unexcluded []unexcludedJSON   `json:"unexcluded"`
	Gaps       []string           `json:"gaps"`
}

func graphVersionObject(g vault.GraphVersion) graphVersionJSON {
	return graphVersionJSON{g.Ref(), g.Artefact, g.Number, g.VID.String(), "sha256:" + g.Digest.String(), g.Kind, g.State, g.Quarantined, g.Complete, g.Channels}
}

func linkObjects(links []vault.Link, ref func(int) string) []linkJSON {
	out := []linkJSON{}
	for _, l := range links {
		out = append(out, linkJSON{ref(l.From), ref(l.To), l.Role})
	}
	return out
}

// impactRef names a version of a report by the number that links use.
func impactRef(r *vault.ImpactReport) func(int) string {
	return func(i int) string {
		if i < len(r.Versions) {
			return r.Versions[i].Ref()
		}
		return r.Ancestors[i-len(r.Versions)].Ref()
	}
}

func (c *call) impactObject(r *vault.ImpactReport) impactJSON {
	o := impactJSON{Schema: c.out.schema(), Freshness: r.Freshness, Complete: r.Complete, Versions: []affectedJSON{}, Ancestors: []graphVersionJSON{},
		Links: linkObjects(r.Links, impactRef(r)), Signed: []signedJSON{}, Unexcluded: []unexcludedJSON{}, Gaps: nonNil(r.Gaps)}
	for _, a := range r.Versions {
		v := affectedJSON{graphVersionObject(a.GraphVersion), string(a.Effect), a.Why, a.Via, a.Role, a.Steps, []holderJSON{}}
		for _, h := range a.Holders {
			v.Holders = append(v.Holders, holderJSON{h.By, h.Host, h.Labels, h.Last, h.Times, h.Owner})
		}
		o.Versions = append(o.Versions, v)
	}
	for _, a := range r.Ancestors {
		o.Ancestors = append(o.Ancestors, graphVersionObject(a))
	}
	for _, s := range r.Signed {
		o.Signed = append(o.Signed, signedJSON{s.Journal, s.Seq, s.Time, s.Kind, s.What})
	}
	for _, u := range r.Open {
		o.Unexcluded = append(o.Unexcluded, unexcludedJSON{graphVersionObject(u.GraphVersion), u.Why})
	}
	return o
}

// impactOptions reads what is suspect.
func (c *call) impactOptions() (addressed string, o vault.ImpactOptions, err error) {
	if len(c.args) > 0 {
		if addressed, o.Refs, err = c.references(); err != nil {
			return "", o, err
		}
	}
	o.SourceURL, o.Scanner = c.flags.String("source-url"), c.flags.String("scanner")
	questions := 0
	for _, given := range []bool{len(c.args) > 0, o.SourceURL != "", c.flags.String("digest") != "", c.flags.String("key") != "", o.Scanner != ""} {
		if given {
			questions++
		}
	}
	if questions != 1 {
		return "", o, usage("name one thing that is suspect: REF, --source-url, --digest, --key or --scanner")
	}
	if o.SourceURL != "" {
		if o.SourceURL, err = naming.ParseSource(o.SourceURL); err != nil {
			return "", o, usage("--source-url: %w", err)
		}
	}
	for flag, to := range map[string]*canonical.Digest{"digest": &o.Digest, "key": &o.Key} {
		text := c.flags.String(flag)
		if text == "" {
			continue
		}
		if *to, err = canonical.ParseDigest(strings.TrimPrefix(text, "sha256:")); err != nil || to.IsZero() {
			return "", o, usage("--%s %q: it is 64 lower-case hex digits", flag, text)
		}
	}
	between := c.flags.StringSlice("between")
	if len(between) == 0 {
		return addressed, o, nil
	}
	if len(between) != 2 || o.SourceURL == "" && o.Key.IsZero() {
		return "", o, usage("--between is given twice, for the first and the last moment, with --key or --source-url")
	}
	for n, to := range []*time.Time{&o.From, &o.To} {
		if *to, err = parseTime(between[n]); err != nil {
			return "", o, usage("--between: %w", err)
		}
	}
	return addressed, o, nil
}

func runImpact(ctx context.Context, c *call) error {
	addressed, o, err := c.impactOptions()
	if err != nil {
		return err
	}
	format, err := c.format("table", "cyclonedx", "dot", "svg")
	if err != nil {
		return err
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	r, err := v.Impact(ctx, o)
	if err != nil {
		return err
	}
	if err := c.printImpact(r, format); err != nil {
		return err
	}
	if !r.Complete {
		return fmt.Errorf("%w: %s", errPartial, notExcluded(len(r.Open), len(r.Gaps)))
	}
	return nil
}

// notExcluded says how much is open.
func notExcluded(versions, gaps int) string {
	text := plural(versions, "version") + " cannot be excluded"
	if gaps > 0 {
		text += ", and " + plural(gaps, "thing") + " could not be looked at"
	}
	return text
}

// format reads --format, one of those named or json; the first is the default.
func (c *call) format(known ...string) (string, error) {
	text := c.flags.String("format")
	if c.set.json && (text == "" || text == "json") {
		return "json", nil
	}
	if text == "" {
		return known[0], nil
	}
	for _, k := range append([]string{"json"}, known...) {
		if text == k && !c.set.json {
			return k, nil
		}
	}
	if c.set.json {
		return "", usage("--json and --format %s exclude each other", text)
	}
	return "", usage("--format %q: one of json, %s", text, strings.Join(known, ", "))
}

func (c *call) printImpact(r *vault.ImpactReport, format string) error {
	var b bytes.Buffer
	var err error
	switch format {
	case "json":
		err = encode(&b, c.impactObject(r))
	case "cyclonedx":
		err = c.impactBOM(&b, r)
	case "dot":
		err = impactPicture(r).DOT(&b)
	case "svg":
		err = impactPicture(r).SVG(&b)
	default:
		if c.set.quiet {
			for _, a := range r.Versions {
				fmt.Fprintln(&b, printable(a.Ref()))
			}
			break
		}
		writeImpact(&b, r)
	}
	if err != nil {
		return err
	}
	_, err = c.out.Write(b.Bytes())
	return err
}

var effectWords = map[lineage.Effect]string{
	lineage.Source: "suspect itself", lineage.Suspect: "suspect", lineage.Evidence: "evidence void", lineage.Companion: "goes with it",
}

// writeImpact writes for people what is affected.
func writeImpact(w io.Writer, r *vault.ImpactReport) {
	if len(r.Versions) == 0 {
		fmt.Fprintln(w, "nothing that is known here is affected")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, a := range r.Versions {
		state := a.State
		if a.Quarantined {
			state += ", in quarantine"
		}
		writeRow(t, []string{a.Ref(), effectWords[a.Effect], state, a.Why})
		for _, channel := range a.Channels {
			writeRow(t, []string{"", "  channel " + channel + " points to it"})
		}
		for _, h := range a.Holders {
			writeRow(t, []string{"", "  " + holderText(h)})
		}
	}
	t.Flush()
	for _, a := range r.Ancestors {
		fmt.Fprintf(w, "it descends from %s\n", printable(a.Ref()))
	}
	if len(r.Signed) > 0 {
		fmt.Fprintln(w, "signed with the key:")
		for _, s := range r.Signed {
			writeRow(t, []string{"  " + timeText(s.Time), s.Journal, fmt.Sprint(s.Seq), s.What})
		}
		t.Flush()
	}
	if len(r.Open) > 0 {
		fmt.Fprintln(w, "cannot be excluded:")
		for _, u := range r.Open {
			writeRow(t, []string{"  " + u.Ref(), u.Why})
		}
		t.Flush()
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(w, "could not be looked at: %s\n", printable(g))
	}
}
