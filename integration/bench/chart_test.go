package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestChartIsDrawnToScale(t *testing.T) {
	got := chart("A & B", "two panels", "MB/s", []panel{
		{"Push", []bar{{"first", 500, "#000001"}, {"second <x>", 250, "#000002"}}},
		{"Pull", []bar{{"first", 1000, "#000003"}}},
	})
	for _, part := range []string{
		`width="290.0" height="22" fill="#000001"`, `width="145.0" height="22" fill="#000002"`, `width="580.0" height="22" fill="#000003"`, // of 860 − 210 − 70
		">A &amp; B<", ">second &lt;x&gt;<", ">two panels<", ">MB/s<", ">Push<", ">Pull<", ">200<", ">1000<", ">500<",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s in\n%s", part, got)
		}
	}
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestChartOfTheReport(t *testing.T) {
	got := fixed().chart()
	for _, part := range []string{">333<", ">125<", "954 MiB of bf16", "2 cores, median of 3", `fill="#0969da"`, `fill="#d0d7de"`} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s in\n%s", part, got)
		}
	}
}

func TestTick(t *testing.T) {
	for most, want := range map[float64]float64{0: 1, 7: 1, 8: 2, 100: 20, 934: 200, 1000: 200, 2200: 500, 3900: 1000, 0.5: 0.1} {
		if got := tick(most); got < want*0.999 || got > want*1.001 {
			t.Errorf("up to %v marks are %v apart, want %v", most, got, want)
		}
	}
}
