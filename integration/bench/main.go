// Command bench measures aivault against its peers: the same files, one S3
// server on loopback, whole processes from cold, taking turns. Then it measures
// the library stage by stage, says which of the design's targets are met, and
// writes a document and a chart.
//
//	go run ./integration/bench --size 1GiB --rounds 5 --out docs/performance.md --chart docs/performance.svg
//
// It builds versitygw, rclone, age and aivault, which takes some ten minutes the
// first time; restic has to be installed. On two cores a round of 1 GiB takes
// about two minutes a data set. Absolute numbers of a busy machine mean little:
// trust the ratios.
//
//	go run ./integration/bench plugin --size 2GiB
//
// measures what it costs that a store lives in a plugin.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"

	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/integration/weights"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) > 2 && os.Args[1] == "step" {
		end(runStep(ctx, os.Stdout, os.Args[2:]))
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "plugin" {
		o, err := parsePluginOptions(os.Args[2:], os.Stderr)
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		if err != nil {
			os.Exit(2)
		}
		end(benchPlugin(ctx, o))
		return
	}
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	end(bench(ctx, o))
}

// end reports an error and ends the process if there is one.
func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench measures everything and writes the results.
func bench(ctx context.Context, o *options) error {
	dir, inMemory := workDir(o.size)
	return servers.Run(ctx, dir, os.Stderr, func(t servers.T) error {
		if o.profiles != "" {
			if err := os.MkdirAll(o.profiles, 0o755); err != nil {
				return err
			}
		}
		l, err := newLab(t, o.uses)
		if err != nil {
			return err
		}
		tools := slices.DeleteFunc(l.tools(), func(t tool) bool { return !o.uses(t.id) })
		r := &report{rounds: o.rounds, machine: machine{Cores: runtime.GOMAXPROCS(0), Flags: processorFlags(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}}
		if r.machine.Versions, err = l.versions(o.uses); err != nil {
			return err
		}
		for i, name := range o.data {
			if err := l.measureSet(r, tools, o, name, i == 0); err != nil {
				return err
			}
		}
		if err := l.measureReal(r); err != nil {
			return err
		}
		return l.write(r, o, inMemory)
	})
}

// workDir is where everything is: in memory, if there is room for a data set,
// what is stored of it, what comes back, and a pull beside that.
func workDir(size int64) (dir string, inMemory bool) {
	if m := memoryDir(); m != "" && free(m) > 5*size+2<<30 {
		return m, true
	}
	return os.TempDir(), false
}

// measureSet compares the tools on a data set, and with stages the library too.
func (l *lab) measureSet(r *report, tools []tool, o *options, name string, stages bool) error {
	set, err := generate(name, l.path("data"), o.size)
	if err != nil {
		return err
	}
	r.sets = append(r.sets, set)
	rows, err := l.compare(tools, set, o.rounds, func() (float64, error) {
		if !stages {
			k, err := l.step("kernels", set.dir)
			return k[stageSHA].perCPU(), err
		}
		x, err := l.stages(set, o.disk, o.profiles)
		if err != nil {
			return 0, err
		}
		r.stages = append(r.stages, x)
		return x.unit(), nil
	})
	r.rows = append(r.rows, rows...)
	if err != nil {
		return err
	}
	return os.RemoveAll(set.dir)
}

// measureReal pushes real weights, if they can be had.
func (l *lab) measureReal(r *report) error {
	models, err := weights.Find()
	if err != nil {
		l.t.Logf("what real weights take is not measured: %v", err)
		return nil
	}
	sets, err := realSets(models, l.path("data"))
	if err != nil {
		return err
	}
	r.ratios, err = l.ratios(sets)
	return err
}

// write writes document and chart.
func (l *lab) write(r *report, o *options, inMemory bool) error {
	var profiles []top
	if o.profiles != "" {
		for _, op := range r.missedOps() {
			text, err := l.explain(o.profiles, op)
			if err != nil {
				return err
			}
			profiles = append(profiles, top{op, text})
		}
	}
	text, err := r.document(o.chartFrom(), inMemory, profiles)
	if err != nil {
		return err
	}
	if o.chart != "" {
		if err := os.WriteFile(o.chart, []byte(r.chart()), 0o644); err != nil {
			return err
		}
	}
	if o.out == "" {
		_, err = fmt.Print(text)
		return err
	}
	return os.WriteFile(o.out, []byte(text), 0o644)
}
