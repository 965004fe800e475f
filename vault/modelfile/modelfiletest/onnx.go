package modelfiletest

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

func onnxTypes() []Type {
	return []Type{
		{"float", 1, 1, 4}, {"uint8", 2, 1, 1}, {"int8", 3, 1, 1}, {"uint16", 4, 1, 2}, {"int16", 5, 1, 2}, {"int32", 6, 1, 4}, {"int64", 7, 1, 8},
		{"bool", 9, 1, 1}, {"float16", 10, 1, 2}, {"double", 11, 1, 8}, {"uint32", 12, 1, 4}, {"uint64", 13, 1, 8}, {"complex64", 14, 1, 8},
		{"complex128", 15, 1, 16}, {"bfloat16", 16, 1, 2}, {"float8e4m3fn", 17, 1, 1}, {"float8e4m3fnuz", 18, 1, 1}, {"float8e5m2", 19, 1, 1},
		{"float8e5m2fnuz", 20, 1, 1}, {"uint4", 21, 2, 1}, {"int4", 22, 2, 1}, {"float4e2m1", 23, 2, 1}, {"float8e8m0", 24, 1, 1},
		{"uint2", 25, 4, 1}, {"int2", 26, 4, 1},
	}
}

// message writes a protocol buffer.
type message []byte

func (m message) bytes(num protowire.Number, b []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, num, protowire.BytesType), b)
}

func (m message) string(num protowire.Number, s string) message { return m.bytes(num, []byte(s)) }

func (m message) varint(num protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, num, protowire.VarintType), v)
}

// onnxTensor writes a TensorProto, its elements as raw_data.
func onnxTensor(t Tensor) message {
	var m message
	for _, d := range t.Shape {
		m = m.varint(1, uint64(d))
	}
	return m.varint(2, uint64(onnxID(t.DType))).string(8, t.Name).bytes(9, t.Data)
}

// onnxID returns the number of a type, that of "type_99" being 99.
func onnxID(dtype string) uint32 {
	for _, t := range onnxTypes() {
		if t.Name == dtype {
			return t.ID
		}
	}
	n, _ := strconv.ParseUint(strings.TrimPrefix(dtype, "type_"), 10, 32)
	return uint32(n)
}

// onnxConstant writes a node whose attribute is a tensor.
func onnxConstant(output string, tensor message) message {
	attribute := message{}.string(1, "value").bytes(5, tensor).varint(20, 4)
	return message{}.string(2, output).string(3, output+"_node").string(4, "Constant").bytes(5, attribute)
}

// onnxModel writes a ModelProto around a graph, which comes last: a file that is
// cut off anywhere is broken.
func onnxModel(graph message) message {
	opset := message{}.string(1, "").varint(2, 22)
	return message{}.varint(1, 10).string(2, "modelfiletest").bytes(8, opset).bytes(7, graph)
}

// ONNX writes a model whose initialisers are the tensors, and which has two
// nodes that hold none.
func ONNX(tensors ...Tensor) []byte {
	node := message{}.string(1, "x").string(1, "w").string(2, "y").string(4, "MatMul")
	graph := message{}.bytes(1, node).string(2, "main")
	for _, t := range tensors {
		graph = graph.bytes(5, onnxTensor(t))
	}
	return onnxModel(graph.bytes(11, message{}.string(1, "x")).bytes(1, node))
}

// ONNXOdd writes a model whose tensors stand in the odd places, and names them:
// packed floats, constants, a branch of an If, a sparse initialiser, a function.
// Elements that are no run of bytes, or are said to be in another file, are there too; they
// are nobody's tensors.
func ONNXOdd() (b []byte, names []string) {
	raw := func(name string) message {
		return onnxTensor(Tensor{Name: name, DType: "float", Shape: []int64{4}, Data: Noise(1, 16)})
	}
	floats := message{}.bytes(1, []byte{2, 2}).varint(2, 1).bytes(4, Noise(2, 16)).string(8, "floats")
	doubles := message{}.varint(1, 2).varint(2, 11).bytes(10, Noise(3, 16)).string(8, "doubles")
	varints := message{}.varint(1, 2).varint(2, 7).bytes(7, []byte{1, 2}).string(8, "varints")
	external := message{}.varint(1, 4).varint(2, 1).string(8, "external").bytes(9, Noise(4, 16)).
		bytes(13, message{}.string(1, "location").string(2, "../../etc/passwd")).varint(14, 1)
	branch := message{}.bytes(5, raw("inside")).bytes(1, onnxConstant("deep", raw("")))
	choice := message{}.string(2, "z").string(4, "If").bytes(5, message{}.string(1, "then_branch").bytes(6, branch).varint(20, 5))
	graph := message{}.bytes(1, onnxConstant("constant", raw(""))).bytes(1, choice).
		bytes(5, floats).bytes(5, doubles).bytes(5, varints).bytes(5, external).
		bytes(15, message{}.bytes(1, raw("values")).bytes(2, raw("indices")))
	function := message{}.string(1, "f").bytes(7, onnxConstant("local", raw("")))
	training := message{}.bytes(2, message{}.bytes(5, raw("step")))
	model := append(onnxModel(graph).bytes(25, function), message{}.bytes(20, training)...)
	return model, []string{"constant", "inside", "deep", "floats", "doubles", "values", "indices", "local", "step"}
}
