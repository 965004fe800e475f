package wire

import (
	"context"

	"github.com/aivault/aivault/plugins/pluginv1"
	"github.com/aivault/aivault/vault/scan"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// scannerServer serves a scanner.
type scannerServer struct {
	pluginv1.UnimplementedScannerServer
	p *pluginServer
}

// toScannerStatus is the status that tells of a scanner's error.
func toScannerStatus(err error) error {
	detail := &pluginv1.ScannerError{Message: clean(err.Error())}
	s, derr := status.New(codes.Aborted, detail.Message).WithDetails(detail)
	if derr != nil {
		return status.Error(codes.Internal, clean(derr.Error()))
	}
	return s.Err()
}

func (s *scannerServer) ScannerProfile(ctx context.Context, _ *pluginv1.ScannerProfileRequest) (*pluginv1.ScannerProfileResponse, error) {
	sc, err := s.p.theScanner()
	if err != nil {
		return nil, err
	}
	p, err := sc.Profile(ctx)
	if err != nil {
		return nil, toScannerStatus(err)
	}
	return &pluginv1.ScannerProfileResponse{Name: clean(p.Name), Version: clean(p.Version), Rules: clean(p.Rules)}, nil
}

func (s *scannerServer) Scan(m *pluginv1.ScanRequest, stream pluginv1.Scanner_ScanServer) error {
	sc, err := s.p.theScanner()
	if err != nil {
		return err
	}
	r, err := sc.Scan(stream.Context(), string(m.GetDirectory()))
	if err != nil {
		return toScannerStatus(err)
	}
	for at := 0; at < len(r.Findings); at += findingPage {
		page := &pluginv1.ScanResponse{}
		for _, f := range r.Findings[at:min(at+findingPage, len(r.Findings))] {
			page.Findings = append(page.Findings, toFinding(f))
		}
		if err := stream.Send(page); err != nil {
			return err
		}
	}
	return stream.Send(&pluginv1.ScanResponse{Done: true, Examined: r.Examined})
}

func toFinding(f scan.Finding) *pluginv1.Finding {
	return &pluginv1.Finding{Path: []byte(f.Path), Rule: clean(f.Rule), Severity: pluginv1.Severity(f.Severity), Message: clean(f.Message)}
}
