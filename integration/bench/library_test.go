package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestSettingsKeepTheirNames(t *testing.T) {
	if _, ok := settingOf(pushPlain); !ok {
		t.Error("no push is measured with encoding off")
	}
	_, full := settingOf(pushFull)
	if checkSettings(full) != nil || checkSettings(!full) == nil {
		t.Error("a push that encodes is measured as one that does not, or the reverse")
	}
}

// TestStepsMeasureWhatTheySay runs the steps on little data.
func TestStepsMeasureWhatTheySay(t *testing.T) {
	set, err := generate("bf16", t.TempDir(), 6<<20)
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	for name, v := range map[string]struct {
		run  func(context.Context, []string) (map[string]spent, error)
		args []string
		keys []string
	}{
		"kernels": {stepKernels, []string{set.dir}, append(pushStages(), pullStages()...)},
		"hash":    {stepHash, []string{set.dir}, []string{"hash"}},
		"push":    {stepPush, []string{set.dir, filepath.Join(t.TempDir(), "profile")}, []string{pushFull, pushPlain}},
		"pull":    {stepPull, []string{set.dir, dest, ""}, []string{pullFull}},
	} {
		out, err := v.run(t.Context(), v.args)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, k := range v.keys {
			if s := out[k]; s.Bytes != set.bytes || s.Wall <= 0 || s.CPU < 0 {
				t.Errorf("%s: %s took %+v for %d bytes", name, k, s, set.bytes)
			}
		}
		if name == "push" {
			if fi, err := os.Stat(v.args[1]); err != nil || fi.Size() == 0 {
				t.Errorf("no profile: %v", err)
			}
		}
	}
	if err := same(set.dir, dest); err != nil {
		t.Error(err)
	}
}
