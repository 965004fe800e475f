package cli

import (
	"bytes"
	"context"
	"fmt"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/lineage"
)

func graphCommand() *command {
	return &command{
		name: "graph", args: "[GLOB]", usage: "draw how versions hang together",
		about:   "The versions of the artefacts that match GLOB, or of all, with what they name as their origin. Every member sees all of it, without a keeper.",
		example: "aivault graph > vault.dot\naivault graph 'team/**' --format svg > team.svg",
		flags:   flagList(textFlag("format", "dot|svg|json", "how to print it (default dot; --json means json)")),
		json:    graphJSON{}, run: runGraph,
	}
}

type graphJSON struct {
	Schema    string             `json:"schema"`
	Freshness string             `json:"freshness"`
	Versions  []graphVersionJSON `json:"versions"`
	Links     []linkJSON         `json:"links"`
	Missing   int                `json:"missing"` // edges that lead to what storage shows nothing of
}

func runGraph(ctx context.Context, c *call) error {
	format, err := c.format("dot", "svg")
	if err != nil {
		return err
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	r, err := v.Graph(ctx, c.arg(0))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	switch format {
	case "json":
		object := graphJSON{Schema: c.out.schema(), Freshness: r.Freshness, Versions: []graphVersionJSON{}, Missing: r.Missing,
			Links: linkObjects(r.Links, func(i int) string { return r.Versions[i].Ref() })}
		for _, g := range r.Versions {
			object.Versions = append(object.Versions, graphVersionObject(g))
		}
		err = encode(&b, object)
	case "svg":
		err = graphPicture(r).SVG(&b)
	default:
		err = graphPicture(r).DOT(&b)
	}
	if err == nil {
		_, err = c.out.Write(b.Bytes())
	}
	return err
}

func graphPicture(r *vault.GraphReport) *lineage.Picture {
	p := &lineage.Picture{Title: "Lineage", Lines: pictureLines(r.Links)}
	for _, g := range r.Versions {
		style := lineage.Plain
		switch {
		case g.Quarantined:
			style = lineage.Bad
		case g.State != "live" && g.State != "disabled":
			style = lineage.Gone
		}
		note := "lineage complete"
		if !g.Complete {
			note = "lineage not declared complete"
		}
		p.Boxes = append(p.Boxes, box(g, style, note))
	}
	if r.Missing > 0 {
		p.Title += fmt.Sprintf("; %s to what is not here", plural(r.Missing, "edge"))
	}
	return p
}
