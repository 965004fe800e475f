package servers_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/integration/servers"
)

// A test is such a host as it is.
var _ servers.T = testing.TB(nil)

func TestRunCleansUpAndSaysWhy(t *testing.T) {
	for _, v := range []struct {
		name string
		end  func(servers.T) error
		want string
	}{
		{"done", func(servers.T) error { return nil }, ""},
		{"error", func(servers.T) error { return errors.New("no room") }, "no room"},
		{"given up", func(h servers.T) error { h.Fatalf("port %d is taken", 80); return nil }, "port 80 is taken"},
	} {
		t.Run(v.name, func(t *testing.T) {
			var log strings.Builder
			var order []int
			var dir string
			err := servers.Run(t.Context(), t.TempDir(), &log, func(h servers.T) error {
				dir = h.TempDir()
				h.Cleanup(func() { order = append(order, 1) })
				h.Cleanup(func() {
					order = append(order, 2)
					if h.Failed() != (v.want != "") || h.Context().Err() == nil {
						t.Error("at the end it is known whether it failed, and nothing goes on")
					}
				})
				h.Logf("in %d", 1)
				return v.end(h)
			})
			if got := ""; err != nil {
				if got = err.Error(); got != v.want {
					t.Errorf("%q, want %q", got, v.want)
				}
			} else if v.want != "" {
				t.Errorf("no error, want %q", v.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || !slices.Equal(order, []int{2, 1}) || log.String() != "in 1\n" {
				t.Errorf("directory: %v, order %v, log %q", err, order, log.String())
			}
		})
	}
}
