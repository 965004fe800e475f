package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func shell(script string) command { return command{args: []string{"sh", "-c", script}} }

func TestMeasureCountsAllOfAPipeline(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	const busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
	u, err := measure(t.Context(), []pipeline{
		{commands: []command{shell(busy + "; sleep 0.05; echo sealed"), shell("(" + busy + "); tr a-z A-Z")}, output: file},
		{commands: []command{shell("sleep 0.05")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "SEALED\n" {
		t.Errorf("%q, %v", got, err)
	}
	one, err := measure(t.Context(), []pipeline{{commands: []command{shell("sleep 0.05")}}})
	if err != nil {
		t.Fatal(err)
	}
	if u.Wall < 100*time.Millisecond || u.CPU < 2*one.CPU {
		t.Errorf("took %+v; a process that only waits %+v", u, one)
	}
}

func TestMeasureFailsIfAnyProgramDoes(t *testing.T) {
	for name, p := range map[string]pipeline{
		"the first": {commands: []command{shell("echo no room >&2; exit 3"), shell("cat")}, output: os.DevNull},
		"the last":  {commands: []command{shell("while :; do echo; done"), shell("echo no room >&2; exit 3")}},
		"missing":   {commands: []command{shell("sleep 60"), {args: []string{"/no such program"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := measure(t.Context(), []pipeline{p})
			if err == nil || time.Since(began) > 20*time.Second {
				t.Fatalf("%v after %v", err, time.Since(began))
			}
			if name != "missing" && !strings.Contains(err.Error(), "no room") {
				t.Error(err)
			}
		})
	}
}
