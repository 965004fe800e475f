package pluginv1_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

var update = flag.Bool("update", false, "write the generated files")

// TestGeneratedCode compiles the .proto files and holds the checked-in code to
// what the generators that go.mod names make of them.
func TestGeneratedCode(t *testing.T) {
	sources, err := filepath.Glob("*.proto")
	if err != nil || len(sources) == 0 {
		t.Fatalf("proto files: %q, %v", sources, err)
	}
	request := compile(t, sources)
	made := map[string]string{}
	for _, generator := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		cmd := exec.CommandContext(t.Context(), "go", "tool", generator)
		cmd.Stdin = bytes.NewReader(request)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v %s", generator, err, stderr.String())
		}
		var response pluginpb.CodeGeneratorResponse
		if err := proto.Unmarshal(out, &response); err != nil || response.Error != nil {
			t.Fatalf("%s: %v %s", generator, err, response.GetError())
		}
		for _, f := range response.File {
			made[f.GetName()] = f.GetContent()
		}
	}
	there, err := filepath.Glob("*.pb.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if _, ok := made[name]; !ok {
			t.Errorf("%s: no .proto file makes it", name)
		}
	}
	for name, want := range made {
		if *update {
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what its .proto file makes (%v): go test ./plugins/pluginv1 -update", name, err)
		}
	}
}

// compile returns the request that a compiler of protocol buffers would send to
// a generator.
func compile(t *testing.T, sources []string) []byte {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(t.Context(), sources...)
	if err != nil {
		t.Fatal(err)
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: sources, Parameter: proto.String("paths=source_relative")}
	seen := map[string]bool{}
	var add func(f protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, descriptorOf(f))
	}
	for _, f := range files {
		add(f)
	}
	if !slices.ContainsFunc(request.ProtoFile, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetPackage() == "aivault.plugin.v1" }) {
		t.Fatal("no file is of the package aivault.plugin.v1")
	}
	out, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func descriptorOf(f protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	if r, ok := f.(linker.Result); ok {
		return r.FileDescriptorProto()
	}
	return protodesc.ToFileDescriptorProto(f)
}
