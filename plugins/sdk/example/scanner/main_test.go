package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/aivault/aivault/vault/scan"
	"github.com/aivault/aivault/vault/scan/scantest"
)

func TestConformance(t *testing.T) { scantest.Run(t, formats{}) }

func TestFormats(t *testing.T) {
	const pickle = "\x80\x02cposix\nsystem\nq\x00."
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("archive/data.pkl")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(pickle)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, content string
		want          scan.Severity
	}{
		{"config.json", "{}", 0},
		{"long.txt", string(bytes.Repeat([]byte("grün\n"), 5000)), 0},
		{"model.safetensors", "\x02\x00\x00\x00\x00\x00\x00\x00{}\x00\xff", 0},
		{"cut.safetensors", "\x03\x00\x00\x00\x00\x00\x00\x00{}", scan.Warning},
		{"model.gguf", "GGUF\x03\x00\x00\x00\xff", 0},
		{"innocent.json", pickle, scan.Danger},
		{"pytorch_model.bin", archive.String(), scan.Danger},
		{"cut.zip", archive.String()[:40], scan.Warning},
		{"weights.bin", "\x00\x01\x02\x03\xff", scan.Warning},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.name), []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := formats{}.Scan(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if r.Worst() != c.want || r.Check(1) != nil {
			t.Errorf("%s: %+v, not %v", c.name, r, c.want)
		}
	}
}
