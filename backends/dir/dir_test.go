package dir

import (
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Create(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	s := open(t, t.TempDir())
	backendtest.Run(t, func(*testing.T) backends.Store { return s })
}
