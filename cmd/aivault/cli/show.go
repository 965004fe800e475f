package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

func showCommand() *command {
	return &command{
		name: "show", args: "REF", usage: "tell what there is to know of a version",
		about:   "Every member sees what the journal says. The files are listed for those who may read them and reach the keeper.",
		example: "aivault show fraud-detector\naivault show team/fraud-detector@v7 --json",
		json:    showJSON{},
		run:     runShow,
	}
}

type fileJSON struct {
	Path   string `json:"path"`
	Mode   string `json:"mode"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
}

// partJSON is a part of a system.
type partJSON struct {
	Name    string `json:"name"`
	Ref     string `json:"ref,omitempty"`
	Digest  string `json:"digest"`
	State   string `json:"state"`
	Problem string `json:"problem,omitempty"` // what it pins does not exist
}

func partObjects(all []vault.PartInfo) []partJSON {
	var out []partJSON
	for _, p := range all {
		o := partJSON{Name: p.Name, Digest: "sha256:" + p.Digest.String(), State: p.State, Problem: p.Problem}
		if p.Problem == "" {
			o.Ref = p.Ref()
		}
		out = append(out, o)
	}
	return out
}

type holdJSON struct {
	By     string    `json:"by"`
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
}

type permittedJSON struct {
	Member string    `json:"member"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
}

type quarantineStateJSON struct {
	By       string          `json:"by"`
	Time     time.Time       `json:"time"`
	Reason   string          `json:"reason"`
	Incident string          `json:"incident,omitempty"`
	Permits  []permittedJSON `json:"permits"`
}

type evidenceJSON struct {
	Type     string     `json:"type"`
	Name     string     `json:"name,omitempty"`
	Result   string     `json:"result"`
	By       string     `json:"by"`
	Time     time.Time  `json:"time"`
	Expires  *time.Time `json:"expires,omitempty"`
	Document string     `json:"document,omitempty"` // a reference
}

type approvalJSON struct {
	By   string    `json:"by"`
	Time time.Time `json:"time"`
}

type sourceJSON struct {
	URL      string    `json:"url"`
	Acquired time.Time `json:"acquired"`
}

type relationJSON struct {
	Ref         string `json:"ref,omitempty"` // left out where storage shows nothing of it
	Artefact    string `json:"artefact_id"`
	Version     string `json:"id"`
	Digest      string `json:"digest,omitempty"`
	Role        string `json:"role"`
	State       string `json:"state,omitempty"`
	Quarantined bool   `json:"quarantined"`
}

type showJSON struct {
	Schema         string               `json:"schema"`
	Freshness      string               `json:"freshness"`
	Artefact       string               `json:"artefact"`
	Version        int                  `json:"version"`
	Ref            string               `json:"ref"`
	Digest         string               `json:"digest"`
	ID             string               `json:"id"`
	State          string               `json:"state"`
	Channels       []string             `json:"channels"`
	Kind           string               `json:"kind"`
	Classification string               `json:"classification"`
	Labels         map[string]string    `json:"labels"`
	Sources        []sourceJSON         `json:"sources"`
	Lineage        []relationJSON       `json:"lineage"`
	Complete       bool                 `json:"lineage_complete"`
	Justification  string               `json:"justification,omitempty"` // a reference
	By             string               `json:"by"`
	Time           time.Time            `json:"time"`
	Stored         int64                `json:"stored_bytes"`
	Uploaded       int64                `json:"uploaded_bytes"`
	Disposal       string               `json:"disposal,omitempty"`
	DestroyedTime  *time.Time           `json:"destroyed_time,omitempty"`
	Quarantine     *quarantineStateJSON `json:"quarantine,omitempty"`
	Holds          []holdJSON           `json:"holds"`
	Approvals      []approvalJSON       `json:"approvals"`
	Evidence       []evidenceJSON       `json:"evidence"`
	Parts          []partJSON           `json:"parts,omitempty"` // of a system
	Sealed         bool                 `json:"sealed"`
	Why            string               `json:"why,omitempty"`
	FileCount      int64                `json:"file_count,omitempty"`
	Bytes          int64                `json:"bytes,omitempty"`
	Files          []fileJSON           `json:"files,omitempty"`
	Head           string               `json:"head"`
}

func runShow(ctx context.Context, c *call) error {
	v, ref, err := c.openRef(ctx)
	if err != nil {
		return err
	}
	info, err := v.Show(ctx, ref)
	if err != nil {
		return err
	}
	object := versionJSONOf(info)
	object.Schema = c.out.schema()
	return c.out.result(object, object.Ref, func(w io.Writer) { showVersion(w, object) })
}

func versionJSONOf(info *vault.VersionInfo) showJSON {
	o := showJSON{
		Freshness: info.Freshness, Artefact: info.Artefact, Version: info.Number, Ref: info.Ref(info.Artefact), Digest: "sha256:" + info.Digest.String(),
		ID: info.VID.String(), State: info.State.String(), Channels: nonNil(info.Channels), Kind: info.Kind, Classification: info.Classification,
		Labels: info.Labels, Sources: sourceObjects(info.Sources), Lineage: relationObjects(info.Relations), Complete: info.Complete, By: info.By, Time: info.Time.UTC(), Stored: info.Stored, Uploaded: info.Uploaded,
		Holds: []holdJSON{}, Approvals: []approvalJSON{}, Evidence: []evidenceJSON{}, Sealed: info.Sealed, Why: info.Why,
		FileCount: info.FileCount, Bytes: info.Bytes, Head: info.Head.String(),
	}
	if o.Labels == nil {
		o.Labels = map[string]string{}
	}
	if d := info.Justification; !d.Digest.IsZero() {
		o.Justification = state.CompanionName(info.Artefact) + "@sha256:" + d.Digest.String()
	}
	if !info.Disposal.IsZero() {
		o.Disposal = info.Disposal.String()
	}
	if !info.DestroyedTime.IsZero() {
		t := info.DestroyedTime.UTC()
		o.DestroyedTime = &t
	}
	if q := info.Quarantined; q != nil {
		o.Quarantine = &quarantineStateJSON{q.By, q.Time.UTC(), q.Reason, q.Incident, []permittedJSON{}}
		for _, p := range q.Permits {
			o.Quarantine.Permits = append(o.Quarantine.Permits, permittedJSON{p.Reader, p.Until.UTC(), p.By, p.Time.UTC(), p.Reason})
		}
	}
	for _, h := range info.Holds {
		o.Holds = append(o.Holds, holdJSON{h.By, h.Time.UTC(), h.Reason})
	}
	for _, a := range info.Approvals {
		o.Approvals = append(o.Approvals, approvalJSON{a.By, a.Time.UTC()})
	}
	for _, e := range info.Evidence {
		o.Evidence = append(o.Evidence, evidenceObject(info.Artefact, e))
	}
	o.Parts = partObjects(info.Pinned)
	for _, f := range info.Files {
		file := fileJSON{Path: f.Path, Mode: f.Mode, Size: f.Size}
		if !f.SHA256.IsZero() {
			file.SHA256 = f.SHA256.String()
		}
		o.Files = append(o.Files, file)
	}
	return o
}

func sourceObjects(all []state.Source) []sourceJSON {
	out := []sourceJSON{}
	for _, s := range all {
		out = append(out, sourceJSON{s.URL, s.Acquired.UTC()})
	}
	return out
}

func relationObjects(all []vault.Relation) []relationJSON {
	out := []relationJSON{}
	for _, r := range all {
		o := relationJSON{r.Ref, r.Artefact.String(), r.Version.String(), "", r.Role, r.State, r.Quarantined}
		if r.Ref != "" {
			o.Digest = "sha256:" + r.Digest.String()
		}
		out = append(out, o)
	}
	return out
}

func (r relationJSON) text() string {
	switch {
	case r.Ref == "":
		return fmt.Sprintf("%s version %s of artefact %s, of which storage shows nothing", r.Role, r.Version, r.Artefact)
	case r.Quarantined:
		return fmt.Sprintf("%s %s, in quarantine", r.Role, r.Ref)
	case r.State != state.Live.String():
		return fmt.Sprintf("%s %s, %s", r.Role, r.Ref, r.State)
	}
	return r.Role + " " + r.Ref
}

// showVersion writes a version for people.
func showVersion(w io.Writer, o showJSON) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			writeRow(t, []string{name, value})
		}
	}
	line("Version", o.Ref)
	line("Digest", o.Digest)
	line("State", o.State)
	line("Channels", strings.Join(o.Channels, " "))
	line("Kind", o.Kind)
	line("Classification", o.Classification)
	for _, k := range slices.Sorted(maps.Keys(o.Labels)) {
		line("Label", k+"="+o.Labels[k])
	}
	for _, s := range o.Sources {
		line("Source", fmt.Sprintf("%s, acquired %s", s.URL, timeText(s.Acquired)))
	}
	for _, r := range o.Lineage {
		line("Lineage", r.text())
	}
	if o.Complete {
		line("Lineage", "declared complete")
	}
	line("Justification", o.Justification)
	for _, p := range o.Parts {
		line("Part", strings.TrimSpace(fmt.Sprintf("%s, %s %s: %s%s", p.Name, p.Ref, p.Digest, p.State, p.Problem)))
	}
	line("Pushed", fmt.Sprintf("%s by %s", timeText(o.Time), o.By))
	line("Stored", bytesText(o.Stored))
	line("Disposal", o.Disposal)
	if o.DestroyedTime != nil {
		line("Destroyed", timeText(*o.DestroyedTime))
	}
	if q := o.Quarantine; q != nil {
		of := ""
		if q.Incident != "" {
			of = ", incident " + q.Incident
		}
		line("Quarantine", fmt.Sprintf("%s by %s%s: %s", timeText(q.Time), q.By, of, q.Reason))
		for _, p := range q.Permits {
			line("Permit", fmt.Sprintf("%s may read it until %s, says %s: %s", p.Member, timeText(p.Until), p.By, p.Reason))
		}
	}
	for _, h := range o.Holds {
		line("Hold", fmt.Sprintf("%s by %s: %s", timeText(h.Time), h.By, h.Reason))
	}
	for _, a := range o.Approvals {
		line("Approved", fmt.Sprintf("%s by %s", timeText(a.Time), a.By))
	}
	for _, e := range o.Evidence {
		line("Evidence", e.text())
	}
	if o.Sealed {
		line("Files", "sealed: "+o.Why)
	} else {
		line("Files", fmt.Sprintf("%d, %s", o.FileCount, bytesText(o.Bytes)))
	}
	t.Flush()
	for _, f := range o.Files {
		writeRow(t, []string{"  " + f.Mode, bytesText(f.Size), f.Path})
	}
	t.Flush()
}
