package state

import (
	"fmt"
)

// Gates about where a version comes from. They go by what its own entry says.
const (
	// GateLineage asks that the version's lineage is declared complete.
	GateLineage = "lineage"
	// GateSource asks of what is public material that it says where it was got, and when.
	GateSource = "source"
	// GateJustification asks that for a version from outside somebody has said why it is used.
	GateJustification = "justification"
)

// provenance returns the gates about a version's origin that requirements ask for.
func (cv *CommittedVersion) provenance(asked []Requirement) []Gate {
	var complete, sourced, justified bool
	for _, r := range asked {
		complete, sourced, justified = complete || r.Complete, sourced || r.Sourced, justified || r.Justified
	}
	var out []Gate
	if complete {
		g := Gate{Name: GateLineage, Met: cv.Complete, Why: "who pushed it has not declared its lineage complete"}
		if g.Met {
			g.Why = cv.By + " declares that what it names is all that it comes from"
		}
		out = append(out, g)
	}
	if sourced {
		g := Gate{Name: GateSource, Met: true, Why: "it is not public"}
		switch n := len(cv.Sources); {
		case n > 0:
			g.Why = fmt.Sprintf("%s, acquired on %s", cv.Sources[0].URL, cv.Sources[0].Acquired)
			if n > 1 {
				g.Why += fmt.Sprintf(", and %d more", n-1)
			}
		case cv.Classification == "public":
			g.Met, g.Why = false, "it is public, and does not say where it was got, and when"
		}
		out = append(out, g)
	}
	if justified {
		g := Gate{Name: GateJustification, Met: true, Why: "it names no source outside"}
		switch d := cv.Justification; {
		case d != (Document{}):
			g.Why = fmt.Sprintf("by %s, document sha256:%s", cv.By, d.Digest)
		case len(cv.Sources) > 0:
			g.Met, g.Why = false, fmt.Sprintf("it comes from %s, and nobody has said why it is used", cv.Sources[0].URL)
		}
		out = append(out, g)
	}
	return out
}
