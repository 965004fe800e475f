package main

import "fmt"

// target is a number that aivault is to reach.
type target struct {
	what  string
	most  bool // bound is the most it may be, not the least
	bound float64
	unit  string
	op    string // what is profiled to explain a miss, or ""
	value func(*report) (float64, bool)
}

// verdicts on a target.
const (
	met         = "met"
	missed      = "**missed**"
	notMeasured = "not measured"
)

func (t *target) judge(r *report) (value float64, verdict string) {
	v, ok := t.value(r)
	switch {
	case !ok:
		return 0, notMeasured
	case t.most == (v <= t.bound) || v == t.bound:
		return v, met
	}
	return v, missed
}

// wants is the bound in words.
func (t *target) wants() string {
	sign := "≥"
	if t.most {
		sign = "≤"
	}
	return fmt.Sprintf("%s %s", sign, t.number(t.bound))
}

func (t *target) number(v float64) string {
	switch t.unit {
	case "%":
		return fmt.Sprintf("%.0f %%", 100*v)
	case "MiB":
		return fmt.Sprintf("%.0f MiB", v/(1<<20))
	case "":
		return fmt.Sprintf("%.4f", v)
	}
	return fmt.Sprintf("%.2f %s", v, t.unit)
}

// targets are what the design asks for.
func targets() []target {
	return append(libraryTargets(), append(peerTargets(), storageTargets()...)...)
}

func libraryTargets() []target {
	units := func(f func(*round) float64) func(*report) (float64, bool) {
		return func(r *report) (float64, bool) {
			return r.overRounds(func(x *round) float64 { return f(x) / x.unit() })
		}
	}
	return []target{
		{"push, with encoding, to a store that keeps nothing", false, 0.27, "SU per core", pushing,
			units(func(x *round) float64 { return x.push[pushFull].perCPU() })},
		{"push, encoding off, to a store that keeps nothing", false, 0.37, "SU per core", pushing,
			units(func(x *round) float64 { return x.push[pushPlain].perCPU() })},
		{"the same, of what the sum of its stages would allow", false, 0.95, "%", pushing,
			func(r *report) (float64, bool) {
				return r.overRounds(func(x *round) float64 { return x.push[pushPlain].perCPU() * sumOf(x.kernels, pushStages()) })
			}},
		{"pull, verified, memory to memory", false, 0.45, "SU per core", pulling,
			units(func(x *round) float64 { return x.pull.perCPU() })},
		{"pull to disk, of the speed of writing past the page cache", false, 0.6, "×", toDisk,
			func(r *report) (float64, bool) {
				return r.overRounds(func(x *round) float64 {
					if x.direct.Bytes == 0 {
						return 0
					}
					return x.disk.perSecond() / x.direct.perSecond()
				})
			}},
		{"bf16 coder, encoding", false, 1.05, "SU per core", coding, units(func(x *round) float64 { return x.kernels[stageEncode].perCPU() })},
		{"bf16 coder, decoding", false, 1.3, "SU per core", coding, units(func(x *round) float64 { return x.kernels[stageDecode].perCPU() })},
	}
}

// sumOf is the processor seconds that stages take for a byte, together.
func sumOf(kernels map[string]spent, stages []string) float64 {
	var sum float64
	for _, s := range stages {
		if k := kernels[s]; k.Bytes > 0 {
			sum += k.CPU / float64(k.Bytes)
		}
	}
	return sum
}

func peerTargets() []target {
	var out []target
	for _, p := range []struct {
		other, op string
		bound     float64
	}{
		{"restic", pushing, 3}, {"rclone crypt", pushing, 1.9}, {"age + copy", pushing, 1},
		{"restic", pulling, 1.75}, {"rclone crypt", pulling, 1},
	} {
		out = append(out, target{p.op + " over S3, against " + p.other, false, p.bound, "×", p.op,
			func(r *report) (float64, bool) { return r.times("aivault", p.other, p.op) }})
	}
	return out
}

func storageTargets() []target {
	var out []target
	for _, s := range []struct {
		set   string
		bound float64
	}{{"bf16", 0.67}, {"real bf16", 0.70}, {"real f32", 0.84}, {"real fp16", 0.87}, {"real u8", 0.75}} {
		out = append(out, target{"stored, of raw: " + s.set, true, s.bound, "", "",
			func(r *report) (float64, bool) { return r.share(s.set) }})
	}
	return append(out, target{"memory of push and pull", true, 512 << 20, "MiB", "", func(r *report) (float64, bool) {
		var most int64
		for _, x := range r.rows {
			if x.tool == "aivault" {
				most = max(most, x.peak())
			}
		}
		return float64(most), most > 0
	}})
}

// missedOps are the profiles that may explain a missed target.
func (r *report) missedOps() []string {
	var out []string
	for _, op := range []string{pushing, pulling, toDisk, coding} {
		for _, x := range targets() {
			if _, verdict := x.judge(r); verdict == missed && x.op == op {
				out = append(out, op)
				break
			}
		}
	}
	return out
}
