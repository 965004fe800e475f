package plugins_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// suiteNames is the plugins whose suites TestSuites runs, sorted.
var suiteNames = []string{"aivault-plugin-awskms", "aivault-plugin-azblob", "aivault-plugin-sftp", "aivault-plugin-transit"}

// elsewhere is every implementation of a contract whose suite runs in tests of its
// own, by its directory below the module's: the function that runs the suite in
// each way. The others are in suites.
var elsewhere = map[string]map[string]string{
	"backends/mem": {
		"in-process": "backends/mem/mem_test.go TestConformance", "wire": "plugins/internal/wire/wire_test.go TestStoreConformance",
		"subprocess": "plugins/host/host_linux_test.go TestStoreConformance",
	},
	"backends/dir": {
		"in-process": "backends/dir/dir_test.go TestConformance", "subprocess": "plugins/sdk/sdk_linux_test.go TestExampleStore",
	},
	"backends/s3": {"in-process": "integration/s3_test.go conform"},
	"crypto/custody/local": {
		"in-process": "crypto/custody/local/local_test.go TestConformance", "wire": "plugins/internal/wire/wire_test.go TestKeeperConformance",
		"subprocess": "plugins/sdk/sdk_linux_test.go TestExampleKeeper",
	},
	"crypto/custody/object": {"in-process": "crypto/custody/object/object_test.go TestConformance"},
	"plugins/aivault-plugin-pkcs11": {
		"in-process": "plugins/aivault-plugin-pkcs11/internal/token/keeper_test.go TestSoftHSM",
		"wire":       "plugins/aivault-plugin-pkcs11/main_test.go TestThroughTheWire", "subprocess": "plugins/aivault-plugin-pkcs11/main_test.go TestProcess",
	},
	"plugins/aivault-plugin-tpm": {
		"in-process": "plugins/aivault-plugin-tpm/internal/tpm/keeper_test.go TestSWTPM",
		"wire":       "plugins/aivault-plugin-tpm/main_test.go TestThroughTheWire", "subprocess": "plugins/aivault-plugin-tpm/main_test.go TestProcess",
	},
}

// TestEverySuiteRuns fails where an implementation stands in no list, a plugin
// lacks one of the three ways, or a listed function runs no suite or may skip it.
func TestEverySuiteRuns(t *testing.T) {
	var here []string
	for _, pattern := range []string{"backends/*", "crypto/custody/*", "plugins/aivault-plugin-*"} {
		dirs, err := filepath.Glob("../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dirs {
			name := filepath.Base(d)
			if about, err := os.Stat(d); err == nil && about.IsDir() && !slices.Contains([]string{"backendtest", "custodytest", "internal"}, name) {
				here = append(here, strings.TrimPrefix(filepath.ToSlash(d), "../"))
			}
		}
	}
	for _, dir := range here {
		if !slices.Contains(suiteNames, strings.TrimPrefix(dir, "plugins/")) && elsewhere[dir] == nil {
			t.Errorf("%s stands in no list of suites", dir)
		}
	}
	for dir, ways := range elsewhere {
		if !slices.Contains(here, dir) {
			t.Errorf("%s is listed and not there", dir)
		}
		if strings.HasPrefix(dir, "plugins/") && len(ways) != 3 {
			t.Errorf("%s runs its suite in %d ways, want 3", dir, len(ways))
		}
		for way, where := range ways {
			file, name, _ := strings.Cut(where, " ")
			checkRuns(t, dir+", "+way, "../"+file, name)
		}
	}
}

// checkRuns fails unless a function calls a suite and does not skip.
func checkRuns(t *testing.T, what, file, name string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	runs, skips := false, false
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != name {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				x, _ := s.X.(*ast.Ident)
				runs = runs || x != nil && (x.Name == "backendtest" || x.Name == "custodytest") && (s.Sel.Name == "Run" || s.Sel.Name == "Checks")
				skips = skips || strings.HasPrefix(s.Sel.Name, "Skip")
			}
			return true
		})
	}
	if !runs || skips {
		t.Errorf("%s: %s of %s runs the suite: %v, may skip: %v", what, name, file, runs, skips)
	}
}
