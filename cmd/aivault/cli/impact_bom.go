package cli

import (
	"fmt"
	"io"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/lineage"
)

// bomTypes are the types of components by kind of version.
var bomTypes = map[string]cdx.ComponentType{
	"model": cdx.ComponentTypeMachineLearningModel, "dataset": cdx.ComponentTypeData, "config": cdx.ComponentTypeData,
	"prompt": cdx.ComponentTypeData, "evaluation": cdx.ComponentTypeData, "system": cdx.ComponentTypeApplication,
}

func bomComponent(g vault.GraphVersion, properties ...cdx.Property) cdx.Component {
	kind, ok := bomTypes[g.Kind]
	if !ok {
		kind = cdx.ComponentTypeData
	}
	properties = append([]cdx.Property{
		{Name: "aivault:kind", Value: g.Kind}, {Name: "aivault:version-digest", Value: "sha256:" + g.Digest.String()}, {Name: "aivault:state", Value: g.State},
		{Name: "aivault:quarantined", Value: fmt.Sprint(g.Quarantined)}, {Name: "aivault:lineage-complete", Value: fmt.Sprint(g.Complete)},
	}, properties...)
	for _, channel := range g.Channels {
		properties = append(properties, cdx.Property{Name: "aivault:channel", Value: channel})
	}
	return cdx.Component{BOMRef: g.Ref(), Type: kind, Name: g.Artefact, Version: fmt.Sprintf("v%d", g.Number), Properties: &properties}
}

// impactBOM writes a CycloneDX BOM of what is affected, or may be, as one
// vulnerability and what it affects.
func (c *call) impactBOM(w io.Writer, r *vault.ImpactReport) error {
	now := c.sys.now().UTC().Format(time.RFC3339)
	var components []cdx.Component
	affects := []cdx.Affects{}
	affect := func(ref string, status cdx.VulnerabilityStatus, version int) {
		affects = append(affects, cdx.Affects{Ref: ref, Range: &[]cdx.AffectedVersions{{Version: fmt.Sprintf("v%d", version), Status: status}}})
	}
	listed := map[string]bool{}
	add := func(g vault.GraphVersion, properties ...cdx.Property) {
		if !listed[g.Ref()] {
			listed[g.Ref()] = true
			components = append(components, bomComponent(g, properties...))
		}
	}
	for _, a := range r.Versions {
		add(a.GraphVersion, cdx.Property{Name: "aivault:effect", Value: string(a.Effect)}, cdx.Property{Name: "aivault:why", Value: a.Why})
		if a.Effect == lineage.Source || a.Effect == lineage.Suspect {
			affect(a.Ref(), cdx.VulnerabilityStatusAffected, a.Number)
		}
	}
	for _, a := range r.Ancestors {
		add(a)
	}
	for _, u := range r.Open {
		if !listed[u.Ref()] {
			affect(u.Ref(), cdx.VulnerabilityStatusUnknown, u.Number)
		}
		add(u.GraphVersion, cdx.Property{Name: "aivault:not-excluded", Value: u.Why})
	}
	id := c.set.incident
	if id == "" {
		id = "aivault-impact"
	}
	detail := "Everything that could be looked at was."
	if !r.Complete {
		detail = notExcluded(len(r.Open), len(r.Gaps)) + "."
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Timestamp: now, Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "aivault", Version: buildVersion().Version}}}}
	bom.Components, bom.Dependencies = &components, bomDependencies(components, r.Links, impactRef(r))
	bom.Vulnerabilities = &[]cdx.Vulnerability{{BOMRef: id, ID: id, Description: "Versions of AI artefacts that are suspect, and what descends from them.", Detail: detail,
		Analysis: &cdx.VulnerabilityAnalysis{State: cdx.IASInTriage}, Affects: &affects}}
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom)
}

// bomDependencies says what each version was made of.
func bomDependencies(components []cdx.Component, links []vault.Link, ref func(int) string) *[]cdx.Dependency {
	of := map[string][]string{}
	for _, l := range links {
		if on := of[ref(l.To)]; len(on) == 0 || on[len(on)-1] != ref(l.From) {
			of[ref(l.To)] = append(on, ref(l.From))
		}
	}
	out := []cdx.Dependency{}
	for _, c := range components {
		d := cdx.Dependency{Ref: c.BOMRef}
		if on := of[c.BOMRef]; len(on) > 0 {
			d.Dependencies = &on
		}
		out = append(out, d)
	}
	return &out
}
