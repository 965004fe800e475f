package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aivault/aivault/plugins/pluginv1"
	"github.com/aivault/aivault/vault/scan"
)

// findingPage is how many findings one message has at most: of the longest, they
// fit.
const findingPage = 64

// Scanner is a scanner that a plugin serves.
type Scanner struct {
	connect Connect
	o       Options
}

var _ scan.Scanner = (*Scanner)(nil)

// NewScanner returns the scanner of the plugin that connect reaches.
func NewScanner(connect Connect, o Options) *Scanner { return &Scanner{connect, o} }

// session begins a call.
func (s *Scanner) session(ctx context.Context, op string) (pluginv1.ScannerClient, *call, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	session, err := s.connect(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w: %w", op, scan.ErrFailed, err)
	}
	return pluginv1.NewScannerClient(session.Conn), begin(ctx, s.o.Stall), nil
}

// Profile implements [scan.Scanner].
func (s *Scanner) Profile(ctx context.Context) (scan.Profile, error) {
	client, c, err := s.session(ctx, "profile of the scanner")
	if err != nil {
		return scan.Profile{}, err
	}
	defer c.end()
	a, err := client.ScannerProfile(c, &pluginv1.ScannerProfileRequest{})
	if err != nil {
		return scan.Profile{}, scannerFailure(c, "profile of the scanner", err)
	}
	p := scan.Profile{Name: a.GetName(), Version: a.GetVersion(), Rules: a.GetRules()}
	if err := p.Check(); err != nil {
		return scan.Profile{}, scannerFailure(c, "profile of the scanner", protocol("%v", err))
	}
	return p, nil
}

// Scan implements [scan.Scanner]. A scan may take as long as ctx lets it: it is
// no silence of the plugin.
func (s *Scanner) Scan(ctx context.Context, dir string) (*scan.Report, error) {
	client, c, err := s.session(ctx, "scan")
	if err != nil {
		return nil, err
	}
	defer c.end()
	c.pause()
	r, err := receiveReport(c, client, dir)
	if err != nil {
		return nil, scannerFailure(c, "scan", err)
	}
	return r, nil
}

// untimed keeps a deadline from the plugin: whose clock it ends by decides what the
// error says.
type untimed struct{ context.Context }

// Deadline implements [context.Context].
func (untimed) Deadline() (time.Time, bool) { return time.Time{}, false }

func receiveReport(c *call, client pluginv1.ScannerClient, dir string) (*scan.Report, error) {
	stream, err := client.Scan(untimed{c}, &pluginv1.ScanRequest{Directory: []byte(dir)})
	if err != nil {
		return nil, err
	}
	r := &scan.Report{}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, protocol("a scan that ended without saying that it is done")
		}
		if err != nil {
			return nil, err
		}
		if m.GetDone() {
			if len(m.GetFindings()) > 0 || m.GetExamined() < 0 {
				return nil, protocol("a last message with findings, or with %d files", m.GetExamined())
			}
			r.Examined = m.GetExamined()
			break
		}
		if n := len(m.GetFindings()); n == 0 || n > findingPage || len(r.Findings)+n > scan.MaxFindings {
			return nil, protocol("a page of %d findings after %d", n, len(r.Findings))
		}
		for _, f := range m.GetFindings() {
			finding := scan.Finding{Path: string(f.GetPath()), Rule: f.GetRule(), Severity: scan.Severity(f.GetSeverity()), Message: f.GetMessage()}
			if err := finding.Check(); err != nil {
				return nil, protocol("%v", err)
			}
			r.Findings = append(r.Findings, finding)
		}
	}
	// The status is still to come: it says whether this was all.
	if _, err := stream.Recv(); err == nil {
		return nil, protocol("a message after the last")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return r, nil
}

// scannerFailure makes the error of a call.
func scannerFailure(c *call, op string, err error) error {
	if detail := detailOf[*pluginv1.ScannerError](err); detail != nil {
		err = remote(clean(detail.Message))
		if ended := c.parent.Err(); ended != nil {
			err = ended
		}
	} else if ended := c.ended(); ended != nil {
		err = ended
	} else if !errors.Is(err, ErrProtocol) {
		err = transport(err)
	}
	return fmt.Errorf("%s: %w: %w", op, scan.ErrFailed, err)
}
