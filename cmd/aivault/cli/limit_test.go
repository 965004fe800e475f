package cli

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// echo answers each request with its own body.
type echo struct{}

func (echo) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(b))}, nil
}

// TestRate sends bodies to and fro, several at once, and looks at the clock.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRun(&system{now: time.Now})
		r.set.rate = 10_000
		wrap := r.limit()
		start := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://x", strings.NewReader(strings.Repeat("x", 12_500)))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := wrap(echo{}).RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := io.ReadAll(resp.Body); err != nil || len(b) != 12_500 {
					t.Errorf("%d bytes, %v", len(b), err)
				}
			})
		}
		wg.Wait()
		// 100,000 bytes at 10,000 a second; the last piece passes before it is paid for.
		if took := time.Since(start); took < 9500*time.Millisecond || took > 10500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestNoRateNoWrapper(t *testing.T) {
	if newRun(&system{now: time.Now}).limit() != nil {
		t.Error("a wrapper without --limit-rate")
	}
}
