package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// bar is one bar of a chart.
type bar struct {
	label string
	value float64
	color string
}

// panel is a group of bars beside an axis of its own.
type panel struct {
	title string
	bars  []bar
}

const (
	chartWidth  = 860
	barHeight   = 22
	barGap      = 8
	labelWidth  = 210
	valueWidth  = 70 // beside the longest bar
	panelGap    = 78
	panelTop    = 34 // from a panel's title to its first bar
	titleHeight = 74
)

// chart draws panels of horizontal bars, one below the other, as SVG. All of them
// share one scale, from zero, with its unit at the axis.
func chart(title, subtitle, unit string, panels []panel) string {
	most, height := 0.0, titleHeight
	for _, p := range panels {
		for _, b := range p.bars {
			most = max(most, b.value)
		}
		height += panelTop + len(p.bars)*(barHeight+barGap) + panelGap
	}
	height -= panelGap - 60
	step := tick(most)
	end := math.Max(step, math.Ceil(most/step)*step)
	scale := float64(chartWidth-labelWidth-valueWidth) / end

	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="14" role="img">`+"\n", chartWidth, height, chartWidth, height)
	fmt.Fprintf(&s, "<title>%s</title>\n", html.EscapeString(title))
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", chartWidth, height)
	text := func(x, y float64, anchor, style, content string) {
		fmt.Fprintf(&s, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(content))
	}
	text(16, 30, "start", `font-size="19" font-weight="bold" fill="#1b1f24"`, title)
	text(16, 52, "start", `font-size="13" fill="#57606a"`, subtitle)
	y := float64(titleHeight)
	for _, p := range panels {
		text(16, y+14, "start", `font-size="15" font-weight="bold" fill="#1b1f24"`, p.title)
		top := y + panelTop - barGap
		bottom := top + float64(len(p.bars)*(barHeight+barGap)+barGap)
		for n := 0; float64(n)*step <= end*1.0001; n++ {
			v := float64(n) * step
			x := labelWidth + v*scale
			fmt.Fprintf(&s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x, top, x, bottom, map[bool]string{true: "#57606a", false: "#d8dee4"}[n == 0])
			text(x, bottom+18, "middle", `font-size="12" fill="#57606a"`, fmt.Sprintf("%g", v))
		}
		text(labelWidth+end*scale/2, bottom+36, "middle", `font-size="12" fill="#57606a"`, unit)
		for i, b := range p.bars {
			at := y + panelTop + float64(i*(barHeight+barGap))
			text(labelWidth-10, at+16, "end", `fill="#1b1f24"`, b.label)
			fmt.Fprintf(&s, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, at, b.value*scale, barHeight, b.color)
			text(labelWidth+b.value*scale+6, at+16, "start", `fill="#1b1f24"`, fmt.Sprintf("%.0f", b.value))
		}
		y = bottom + panelGap - barGap
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// tick is the distance of the marks of an axis that reaches to most: 1, 2 or 5
// times a power of ten, about six of them.
func tick(most float64) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most/6)))
	for _, n := range []float64{1, 2, 5} {
		if most/(n*power) <= 7 {
			return n * power
		}
	}
	return 10 * power
}

// chart draws how fast the tools push and pull the first data set.
func (r *report) chart() string {
	var panels []panel
	for _, op := range []string{pushing, pulling} {
		p := panel{title: map[string]string{pushing: "Push", pulling: "Pull"}[op]}
		for i := range r.rows {
			x := &r.rows[i]
			if x.set != r.sets[0] || x.op != op {
				continue
			}
			color := "#8c959f"
			switch {
			case x.limit:
				color = "#d0d7de"
			case strings.HasPrefix(x.tool, "aivault"):
				color = "#0969da"
			}
			p.bars = append(p.bars, bar{x.tool, x.speed() / 1e6, color})
		}
		panels = append(panels, p)
	}
	sub := fmt.Sprintf("%s of %s, over S3 on loopback, %d cores, median of %d; light: limits, which seal nothing", bytesText(r.sets[0].bytes), r.sets[0].name, r.machine.Cores, r.rounds)
	return chart("aivault and its peers", sub, "MB of plaintext per second, whole process from cold (more is better)", panels)
}

// bytesText prints a size in the largest unit that fits.
func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.3g GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.3g MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}
