package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{"1GiB": 1 << 30, "64MiB": 64 << 20, "1000": 1000} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "0", "-1", "1GB", "1.5GiB", "GiB", "99999999999GiB", "1 GiB"} {
		if n, err := parseSize(s); err == nil {
			t.Errorf("%q is %d", s, n)
		}
	}
}

func TestParseOptions(t *testing.T) {
	o, err := parseOptions([]string{"--size", "2GiB", "--rounds", "3", "--data", "f32,bf16", "--tools", "aivault,cp", "--out", "docs/performance.md", "--chart", "docs/performance.svg"}, io.Discard)
	if err != nil || o.size != 2<<30 || o.rounds != 3 || !slices.Equal(o.data, []string{"f32", "bf16"}) || !o.uses("cp") || o.uses("restic") || o.chartFrom() != "performance.svg" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parseOptions(nil, io.Discard); err != nil || !o.uses("restic") || len(o.data) != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"--rounds", "0"}, {"--size", "x"}, {"--data", "bf17"}, {"--tools", "zip"}, {"more"}, {"--no-such"}} {
		var said strings.Builder
		if _, err := parseOptions(args, &said); err == nil || said.Len() == 0 {
			t.Errorf("%v: %v, said %q", args, err, said.String())
		}
	}
}

func TestStoredBytes(t *testing.T) {
	if n, err := storedBytes([]byte(`{"schema":"aivault.push/1","stored_bytes":42}`)); n != 42 || err != nil {
		t.Error(n, err)
	}
	for _, s := range []string{"", "{}", `{"stored_bytes":-1}`} {
		if n, err := storedBytes([]byte(s)); err == nil {
			t.Errorf("%q: %d", s, n)
		}
	}
}

func TestTopOfAProfile(t *testing.T) {
	const text = "File: bench\nType: cpu\nShowing nodes\n      flat  flat%   sum%        cum   cum%\n     0.65s 45.14% 45.14%      0.65s 45.14%  sha256\n     0.35s 24.31% 69.44%      0.35s 24.31%  chacha\n         0     0%   100%      0.65s 45.14%  main.main\n"
	want := "      flat  flat%   sum%        cum   cum%\n     0.65s 45.14% 45.14%      0.65s 45.14%  sha256\n     0.35s 24.31% 69.44%      0.35s 24.31%  chacha\n"
	if got := topOf(text, 9); got != want {
		t.Errorf("%q", got)
	}
	if got := topOf(text, 1); strings.Contains(got, "chacha") {
		t.Errorf("%q", got)
	}
	if got := topOf("no samples", 2); got != "" {
		t.Errorf("%q", got)
	}
}
