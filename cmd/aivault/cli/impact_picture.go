package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/lineage"
)

// holderText says who holds plaintext.
func holderText(h vault.Holder) string {
	if h.Owner {
		return fmt.Sprintf("handed over to %s on %s", h.By, timeText(h.Last))
	}
	text := "taken by " + h.By
	if h.Host != "" {
		text += " on " + h.Host
	}
	for _, k := range slices.Sorted(maps.Keys(h.Labels)) {
		text += fmt.Sprintf(" %s=%s", k, h.Labels[k])
	}
	if h.Times > 1 {
		return fmt.Sprintf("%s, %d times, last on %s", text, h.Times, timeText(h.Last))
	}
	return text + ", " + timeText(h.Last)
}

// box draws a version.
func box(g vault.GraphVersion, style lineage.Style, notes ...string) lineage.Box {
	about := cmp.Or(g.Kind, "?")
	if g.State != "live" {
		about += ", " + g.State
	}
	if g.Quarantined {
		about += ", in quarantine"
	}
	b := lineage.Box{Name: g.Ref(), Notes: append([]string{about}, notes...), Style: style}
	if len(g.Channels) > 0 {
		b.Notes = append(b.Notes, "channels: "+strings.Join(g.Channels, " "))
	}
	return b
}

func pictureLines(links []vault.Link) []lineage.Line {
	var out []lineage.Line
	for _, l := range links {
		out = append(out, lineage.Line{From: l.From, To: l.To, Label: l.Role})
	}
	return out
}

// impactPicture draws what is affected, and what the sources descend from.
func impactPicture(r *vault.ImpactReport) *lineage.Picture {
	p := &lineage.Picture{Title: "What is affected", Lines: pictureLines(r.Links)}
	styles := map[lineage.Effect]lineage.Style{lineage.Source: lineage.Bad, lineage.Suspect: lineage.Doubtful, lineage.Evidence: lineage.Lesser, lineage.Companion: lineage.Lesser}
	for _, a := range r.Versions {
		p.Boxes = append(p.Boxes, box(a.GraphVersion, styles[a.Effect], effectWords[a.Effect]))
	}
	for _, a := range r.Ancestors {
		p.Boxes = append(p.Boxes, box(a, lineage.Plain))
	}
	if !r.Complete {
		p.Title += "; " + notExcluded(len(r.Open), len(r.Gaps))
	}
	return p
}
