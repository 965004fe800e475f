package wire_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/plugins/internal/wire"
	"github.com/aivault/aivault/plugins/internal/wiretest"
	"github.com/aivault/aivault/plugins/pluginv1"
	"github.com/aivault/aivault/vault/scan"
	"github.com/aivault/aivault/vault/scan/scantest"
	"google.golang.org/grpc"
)

func scannerOver(t *testing.T, s scan.Scanner) *wire.Scanner {
	t.Helper()
	conn := wiretest.Serve(t, wire.Implementation{Version: "1.0.0", Scanner: func(context.Context, string) (scan.Scanner, error) { return s, nil }})
	return wire.NewScanner(open(t, conn, "", false), options)
}

func TestScannerConformance(t *testing.T) { scantest.Run(t, scannerOver(t, scantest.Double{})) }

// Findings cross in pages, and names that are no UTF-8 as they are.
func TestManyFindingsCross(t *testing.T) {
	const files = 200
	s := scannerOver(t, scantest.Double{Judge: func(path string, _ []byte) []scan.Finding {
		return []scan.Finding{{Path: path, Rule: "odd\x1bname", Severity: scan.Danger, Message: "two\nlines"}}
	}})
	dir := t.TempDir()
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("\xff-%d", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.Scan(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Examined != files || len(r.Findings) != files || r.Findings[0].Path != "\xff-0" || r.Findings[0].Rule != "odd?name" || r.Findings[0].Message != "two lines" {
		t.Errorf("%d files, %d findings, the first %+v", r.Examined, len(r.Findings), r.Findings[0])
	}
}

// accuser answers every call as it was told.
type accuser struct {
	pluginv1.UnimplementedScannerServer
	profile *pluginv1.ScannerProfileResponse
	answers []*pluginv1.ScanResponse
	hangs   bool
}

func (a *accuser) ScannerProfile(context.Context, *pluginv1.ScannerProfileRequest) (*pluginv1.ScannerProfileResponse, error) {
	return a.profile, nil
}

func (a *accuser) Scan(_ *pluginv1.ScanRequest, s pluginv1.Scanner_ScanServer) error {
	for _, m := range a.answers {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	if a.hangs {
		<-s.Context().Done()
	}
	return nil
}

func accused(t *testing.T, a *accuser) *wire.Scanner {
	t.Helper()
	server := grpc.NewServer()
	pluginv1.RegisterScannerServer(server, a)
	conn := wiretest.Connect(t, server)
	return wire.NewScanner(func(context.Context) (wire.Session, error) { return wire.Session{Conn: conn}, nil }, options)
}

func TestHostileScanner(t *testing.T) {
	finding := func(change func(*pluginv1.Finding)) *pluginv1.ScanResponse {
		f := &pluginv1.Finding{Path: []byte("a"), Rule: "r", Severity: pluginv1.Severity_SEVERITY_DANGER}
		change(f)
		return &pluginv1.ScanResponse{Findings: []*pluginv1.Finding{f}}
	}
	done := &pluginv1.ScanResponse{Done: true, Examined: 1}
	page := &pluginv1.ScanResponse{}
	for range 64 {
		page.Findings = append(page.Findings, finding(func(*pluginv1.Finding) {}).Findings...)
	}
	flood := []*pluginv1.ScanResponse{}
	for range scan.MaxFindings/64 + 1 {
		flood = append(flood, page)
	}
	for name, answers := range map[string][]*pluginv1.ScanResponse{
		"nothing":                {},
		"findings and no end":    {finding(func(*pluginv1.Finding) {})},
		"an empty page":          {{}, done},
		"more after the end":     {done, done},
		"an end with findings":   {{Done: true, Findings: page.Findings}},
		"fewer than no files":    {{Done: true, Examined: -1}},
		"a page too large":       {{Findings: append(page.Findings, page.Findings[0])}, done},
		"too many findings":      append(flood, done),
		"a path that leads away": {finding(func(f *pluginv1.Finding) { f.Path = []byte("../../etc/passwd") }), done},
		"no path":                {finding(func(f *pluginv1.Finding) { f.Path = nil }), done},
		"no severity":            {finding(func(f *pluginv1.Finding) { f.Severity = 9 }), done},
		"a message for terminal": {finding(func(f *pluginv1.Finding) { f.Message = "\x1b[2J" }), done},
		"a message too long":     {finding(func(f *pluginv1.Finding) { f.Message = strings.Repeat("a", 2000) }), done},
	} {
		if r, err := accused(t, &accuser{answers: answers}).Scan(t.Context(), "/x"); !errors.Is(err, wire.ErrProtocol) || !errors.Is(err, scan.ErrFailed) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for name, p := range map[string]*pluginv1.ScannerProfileResponse{
		"no name":    {Version: "1"},
		"no version": {Name: "a"},
		"lines":      {Name: "a", Version: "1", Rules: "a\nb"},
	} {
		if p, err := accused(t, &accuser{profile: p}).Profile(t.Context()); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("profile with %s: %+v, %v", name, p, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := accused(t, &accuser{hangs: true}).Scan(ctx, "/x"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, scan.ErrFailed) {
		t.Errorf("one that hangs: %v", err)
	}
}
