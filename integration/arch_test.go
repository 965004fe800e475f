package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/aivault/aivault"

// layers is the import graph, as text: each package may import, of ours, only
// what stands in a line above it, or what its line names.
// "= a b" lists exactly what it may import; "< x" means everything up to and
// including the line of x.
const layers = `
crypto/canonical                =
crypto/redact                   =
crypto/seal                     = crypto/redact
crypto/dsse                     = crypto/canonical crypto/redact
crypto/identity                 = crypto/dsse crypto/redact crypto/seal
crypto/custody                  =
backends                        =
backends/mem                    = backends
backends/dir                    = backends
backends/s3                     = backends backends/s3/credential
backends/s3/credential          = backends
backends/backendtest            = backends
crypto/custody/internal/keyfile = crypto/canonical crypto/custody crypto/redact crypto/seal
crypto/custody/internal/interleave *
crypto/custody/local            = crypto/canonical crypto/custody crypto/redact crypto/seal crypto/custody/internal/keyfile
crypto/custody/object           = backends crypto/canonical crypto/custody crypto/redact crypto/seal crypto/custody/internal/keyfile
crypto/redact/redacttest        = crypto/redact
crypto/custody/custodytest      = crypto/custody crypto/redact crypto/seal crypto/canonical
vault/entry                     = crypto/canonical crypto/dsse
vault/state                     = crypto/canonical crypto/dsse crypto/identity vault/entry
vault/lineage                   = crypto/canonical vault/state
vault/checkpoint                = crypto/canonical crypto/redact vault/entry vault/state
vault/codec                     =
vault/scan                      =
vault/scan/scantest             = vault/scan
vault/manifest                  = crypto/canonical crypto/redact crypto/seal vault/codec vault/entry
vault/modelfile                 =
vault/modelfile/modelfiletest   =
vault/gear                      =
vault/journal                   = backends crypto/canonical crypto/dsse crypto/seal vault/entry
vault/chunk                     = backends crypto/canonical crypto/redact crypto/seal vault/codec vault/entry vault/manifest
vault/ledger                    = backends crypto/canonical crypto/dsse crypto/redact crypto/seal vault/entry vault/state vault/journal
vault/keyring                   = backends crypto/canonical crypto/custody crypto/dsse crypto/redact crypto/seal vault/entry vault/state vault/manifest vault/journal vault/ledger
vault/transfer                  = backends crypto/canonical crypto/dsse crypto/redact crypto/seal vault/codec vault/entry vault/gear vault/state vault/manifest vault/modelfile vault/chunk
vault/receipt                   = backends crypto/canonical crypto/dsse crypto/seal vault/entry vault/state vault/ledger
vault/evidence                  = crypto/canonical crypto/dsse vault/entry vault/state
vault/handover                  = crypto/canonical crypto/seal vault/entry vault/state vault/manifest vault/transfer
vault/disposal                  = backends crypto/canonical crypto/custody crypto/dsse vault/entry vault/state vault/journal vault/ledger vault/manifest vault/keyring vault/receipt vault/handover vault/checkpoint vault/lineage
vault                           = backends crypto/canonical crypto/custody crypto/dsse crypto/identity crypto/redact crypto/seal vault/entry vault/scan vault/state vault/manifest vault/journal vault/chunk vault/ledger vault/keyring vault/receipt vault/evidence vault/handover vault/lineage vault/disposal vault/transfer vault/checkpoint
vault/vaulttest                 *
plugins/pluginv1                =
plugins/internal/bulk           =
plugins/internal/wire           = backends crypto/custody vault/scan plugins/internal/bulk plugins/pluginv1
plugins/internal/setting        = crypto/custody
plugins/internal/wiretest       = crypto/custody plugins/internal/wire
plugins/sdk                     = backends crypto/custody vault/scan plugins/internal/wire
plugins/sdk/example/store       = backends backends/dir plugins/sdk
plugins/sdk/example/keeper      = crypto/custody crypto/custody/local plugins/sdk
plugins/sdk/example/scanner     = vault/scan plugins/sdk
plugins/host                    = crypto/canonical plugins/internal/wire
plugins/aivault-plugin-azblob   = backends plugins/aivault-plugin-azblob/azblob plugins/sdk
plugins/aivault-plugin-azblob/azblob = backends
plugins/aivault-plugin-sftp     = backends plugins/aivault-plugin-sftp/sftp plugins/sdk
plugins/aivault-plugin-sftp/sftp = backends
plugins/aivault-plugin-transit  = crypto/custody plugins/aivault-plugin-transit/transit plugins/sdk
plugins/aivault-plugin-transit/transit = crypto/custody
plugins/aivault-plugin-transit/transittest =
plugins/aivault-plugin-awskms   = crypto/custody plugins/aivault-plugin-awskms/awskms plugins/sdk
plugins/aivault-plugin-awskms/awskms = crypto/custody
plugins/aivault-plugin-awskms/awskmstest =
plugins/aivault-plugin-pkcs11   = crypto/custody plugins/aivault-plugin-pkcs11/internal/token plugins/sdk
plugins/aivault-plugin-pkcs11/internal/token = crypto/custody plugins/internal/setting
plugins/aivault-plugin-tpm      = crypto/custody plugins/aivault-plugin-tpm/internal/tpm plugins/sdk
plugins/aivault-plugin-tpm/internal/tpm = crypto/canonical crypto/custody plugins/internal/setting
cmd/aivault                     = cmd/aivault/cli
cmd/aivault/cli                 *
cmd/aivault/cli/argv            =
cmd/aivault/cli/naming          = backends/s3 crypto/canonical vault vault/entry vault/state
cmd/aivault/cli/machine         = crypto/canonical vault/checkpoint vault/entry vault/journal vault/ledger
cmd/aivault/cli/progress        = vault/transfer
integration                     *
integration/servers             =
integration/weights             =
integration/full                *
integration/bench               *
`

type source struct {
	dir  string // relative to the root, "." for it
	name string
	file *ast.File
	text []byte
}

// sources parses every Go file of the module that is not a test.
func sources(t *testing.T) []source {
	t.Helper()
	root := ".."
	fset := token.NewFileSet()
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		out = append(out, source{dir: filepath.ToSlash(rel), name: d.Name(), file: f, text: text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("found only %d source files", len(out))
	}
	return out
}

func TestImportGraph(t *testing.T) {
	allowed := map[string][]string{}
	for line := range strings.Lines(strings.TrimSpace(layers)) {
		f := strings.Fields(line)
		allowed[f[0]] = f[1:]
	}
	seen := map[string]bool{}
	for _, s := range sources(t) {
		may, ok := allowed[s.dir]
		if !ok {
			if !seen[s.dir] {
				t.Errorf("package %s stands in no layer", s.dir)
			}
			seen[s.dir] = true
			continue
		}
		seen[s.dir] = true
		for _, imp := range s.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			ours, ok := strings.CutPrefix(path, module+"/")
			if !ok || may[0] == "*" || slices.Contains(may, ours) {
				continue
			}
			t.Errorf("%s/%s imports %s: its layer does not allow it", s.dir, s.name, ours)
		}
	}
	for dir := range allowed {
		if !seen[dir] {
			t.Errorf("layer %s has no package", dir)
		}
	}
}

func TestContractsImportTheStandardLibraryOnly(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir != "backends" && s.dir != "crypto/custody" {
			continue
		}
		for _, imp := range s.file.Imports {
			if strings.Contains(strings.Split(imp.Path.Value, "/")[0], ".") {
				t.Errorf("%s/%s imports %s", s.dir, s.name, imp.Path.Value)
			}
		}
	}
}

// forbidden says what stands nowhere, or only where it is listed.
var forbidden = []struct {
	what  string
	calls bool     // calls alone: as a value it may be a default
	uses  []string // selector expressions
	allow []string // directories
}{
	{"the environment is read in one place", false, []string{"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv"}, []string{"cmd/aivault", "cmd/aivault/cli", "plugins/aivault-plugin-azblob", "plugins/aivault-plugin-pkcs11", "plugins/aivault-plugin-sftp", "plugins/aivault-plugin-tpm", "plugins/aivault-plugin-transit", "integration/servers", "integration/full", "integration/bench"}},
	{"clocks are injected", true, []string{"time.Now", "time.Since", "time.Until"}, []string{"cmd/aivault", "cmd/aivault/cli", "backends/backendtest", "crypto/custody/custodytest", "plugins/internal/wiretest", "integration/servers", "integration/full", "integration/bench", "vault/vaulttest"}},
	{"only main ends the process", false, []string{"os.Exit", "log.Fatal", "log.Fatalf"}, []string{"cmd/aivault", "plugins/aivault-plugin-sftp", "integration/full", "integration/bench"}},
}

func TestForbiddenCalls(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if isCall {
				n = call.Fun
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			name := pkg.Name + "." + sel.Sel.Name
			for _, f := range forbidden {
				if f.calls == isCall && slices.Contains(f.uses, name) && !slices.Contains(f.allow, s.dir) {
					t.Errorf("%s/%s uses %s: %s", s.dir, s.name, name, f.what)
				}
			}
			return true
		})
		for _, imp := range s.file.Imports {
			if imp.Path.Value == `"math/rand"` {
				t.Errorf("%s/%s imports math/rand", s.dir, s.name)
			}
		}
	}
}

func TestShape(t *testing.T) {
	docs := map[string]int{}
	for _, s := range sources(t) {
		if docs[s.dir] += 0; s.file.Doc != nil && !strings.HasPrefix(s.file.Doc.Text(), "//go:build") {
			docs[s.dir]++
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Recv == nil && f.Name.Name == "init" && !strings.HasSuffix(s.name, ".pb.go") {
				t.Errorf("%s/%s has an init function", s.dir, s.name)
			}
		}
		if n := strings.Count(string(s.text), "\n"); n > 400 && !strings.Contains(s.name, ".pb.go") {
			t.Errorf("%s/%s has %d lines: one verb a file, under 400", s.dir, s.name, n)
		}
		for _, mark := range []string{"TODO", "FIXME", "XXX", "//nolint"} {
			if s.dir != "integration" && strings.Contains(string(s.text), mark) {
				t.Errorf("%s/%s contains %s", s.dir, s.name, mark)
			}
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("package %s has %d package comments", dir, n)
		}
	}
}

func TestGoModHasNoReplace(t *testing.T) {
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "replace ") {
		t.Error("go.mod has a replace directive")
	}
}
