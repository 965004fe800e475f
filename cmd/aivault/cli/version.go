package cli

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/aivault/aivault/vault/entry"
)

func versionCommand() *command {
	return &command{
		name: "version", usage: "print the version of this program",
		example: "aivault version --json",
		json:    versionJSON{},
		run:     version,
	}
}

type versionJSON struct {
	Schema   string `json:"schema"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes
	Format   int    `json:"format"`             // of journal entries
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func version(_ context.Context, c *call) error {
	v := buildVersion()
	v.Schema = c.out.schema()
	return c.out.result(v, v.Version, func(w io.Writer) {
		revision := ""
		if v.Revision != "" {
			revision = " (" + v.Revision + ")"
		}
		fmt.Fprintf(w, "aivault %s%s, format %d, %s %s/%s\n", v.Version, revision, v.Format, v.Go, v.OS, v.Arch)
	})
}

// buildVersion says what the Go toolchain recorded when it built the program.
func buildVersion() versionJSON {
	v := versionJSON{Version: "unknown", Format: entry.Format, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
