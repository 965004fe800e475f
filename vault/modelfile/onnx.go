package modelfile

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// onnxNesting bounds graphs in graphs (the branches and bodies of If, Loop
	// and Scan).
	onnxNesting = 32
	maxVarint   = 10 // bytes
)

// Field numbers of onnx/onnx.proto, by message.
const (
	modelIRVersion = 1
	modelGraph     = 7
	modelTraining  = 20
	modelFunctions = 25

	trainingInitialization = 1
	trainingAlgorithm      = 2

	functionNode      = 7
	functionAttribute = 11

	graphNode              = 1
	graphInitializer       = 5
	graphSparseInitializer = 15

	nodeOutput    = 2
	nodeAttribute = 5

	attributeTensor        = 5
	attributeGraph         = 6
	attributeTensors       = 10
	attributeGraphs        = 11
	attributeSparseTensor  = 22
	attributeSparseTensors = 23

	sparseValues  = 1
	sparseIndices = 2

	tensorDims         = 1
	tensorType         = 2
	tensorFloats       = 4
	tensorName         = 8
	tensorRaw          = 9
	tensorDoubles      = 10
	tensorExternalData = 13
	tensorLocation     = 14
)

// modelFields has the wire types of the fields of a model, for recognising one.
var modelFields = map[protowire.Number]protowire.Type{
	modelIRVersion: protowire.VarintType, 2: protowire.BytesType, 3: protowire.BytesType, 4: protowire.BytesType,
	5: protowire.VarintType, 6: protowire.BytesType, modelGraph: protowire.BytesType, 8: protowire.BytesType,
	14: protowire.BytesType, modelTraining: protowire.BytesType, modelFunctions: protowire.BytesType, 26: protowire.BytesType,
}

// onnxTypes has TensorProto.DataType by number.
var onnxTypes = map[uint64]DType{
	1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "double",
	12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
	17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz",
	21: "uint4", 22: "int4", 23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2",
}

// onnxFile is an ONNX model in reading: protocol buffers, of which every
// message is walked in which tensors may stand, and all else is skipped.
// Tensors are those whose elements stand in the file as bytes: raw_data, and
// packed floats and doubles. Where elements stand in another file or as variable
// integers, there is none. No path in external_data is looked at.
type onnxFile struct {
	w       *window
	tensors builder
}

// probeONNX reads a file that only its content says may be a model: one that
// starts with a version, whose fields are those of a model, one a graph.
func probeONNX(w *window, head []byte) (*Layout, error) {
	if len(head) < 2 || head[0] != byte(protowire.EncodeTag(modelIRVersion, protowire.VarintType)) {
		return nil, ErrUnknown
	}
	o := &onnxFile{w: newWindow(w.r, w.size)}
	graph := false
	err := o.fields(w.size, func(f field) error {
		if t, ok := modelFields[f.num]; !ok || t != f.typ {
			return ErrUnknown
		}
		graph = graph || f.num == modelGraph
		return nil
	})
	if isMalformed(err) || err == nil && !graph {
		err = ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	return readONNX(w)
}

func readONNX(w *window) (*Layout, error) {
	o := &onnxFile{w: w, tensors: builder{size: w.size}}
	graph := false
	err := o.fields(w.size, func(f field) error {
		switch {
		case f.typ != protowire.BytesType:
		case f.num == modelGraph:
			if graph {
				return malformed("a second graph at byte %d", w.pos)
			}
			graph = true
			return o.graph(f.end, 0)
		case f.num == modelTraining:
			return o.fields(f.end, func(f field) error {
				if f.is(trainingInitialization, trainingAlgorithm) {
					return o.graph(f.end, 0)
				}
				return nil
			})
		case f.num == modelFunctions:
			return o.function(f.end)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !graph {
		return nil, malformed("no graph")
	}
	all := o.tensors.take()
	if err := distinguish(all); err != nil {
		return nil, err
	}
	return layout(ONNX, first(all, w.size), all)
}

// field is a field of a message. The window stands at its payload, which a
// visitor may read or leave.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	value uint64 // of a varint
	end   int64  // of a payload of bytes
}

func (f field) is(nums ...protowire.Number) bool {
	for _, n := range nums {
		if f.num == n && f.typ == protowire.BytesType {
			return true
		}
	}
	return false
}

// fields calls visit for each field of a message that ends at end.
func (o *onnxFile) fields(end int64, visit func(field) error) error {
	for o.w.pos < end {
		tag, err := o.varint(end)
		if err != nil {
			return err
		}
		f := field{}
		if f.num, f.typ = protowire.DecodeTag(tag); f.num < protowire.MinValidNumber {
			return malformed("no field number before byte %d", o.w.pos)
		}
		switch f.typ {
		case protowire.VarintType:
			f.value, err = o.varint(end)
			f.end = o.w.pos
		case protowire.Fixed32Type:
			f.end, err = o.payload(4, end)
		case protowire.Fixed64Type:
			f.end, err = o.payload(8, end)
		case protowire.BytesType:
			var n uint64
			if n, err = o.varint(end); err == nil {
				f.end, err = o.payload(n, end)
			}
		default:
			err = malformed("a field of wire type %d before byte %d", f.typ, o.w.pos)
		}
		if err != nil {
			return err
		}
		if err := visit(f); err != nil {
			return err
		}
		o.w.pos = f.end
	}
	return nil
}

// payload returns where n bytes end, which must be before end.
func (o *onnxFile) payload(n uint64, end int64) (int64, error) {
	if n > uint64(end-o.w.pos) {
		return 0, malformed("a field of %d bytes at byte %d reaches beyond its message", n, o.w.pos)
	}
	return o.w.pos + int64(n), nil
}

func (o *onnxFile) varint(end int64) (uint64, error) {
	b, err := o.w.peek(int(min(maxVarint, end-o.w.pos)))
	if err != nil {
		return 0, err
	}
	v, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, malformed("no variable integer at byte %d", o.w.pos)
	}
	_, err = o.w.take(n)
	return v, err
}

func (o *onnxFile) function(end int64) error {
	return o.fields(end, func(f field) error {
		switch {
		case f.is(functionNode):
			return o.node(f.end, 0)
		case f.is(functionAttribute):
			return o.attribute(f.end, "", 0)
		}
		return nil
	})
}

func (o *onnxFile) graph(end int64, depth int) error {
	if depth > onnxNesting {
		return malformed("graphs nest deeper than %d at byte %d", onnxNesting, o.w.pos)
	}
	return o.fields(end, func(f field) error {
		switch {
		case f.is(graphNode):
			return o.node(f.end, depth)
		case f.is(graphInitializer):
			return o.tensor(f.end, "")
		case f.is(graphSparseInitializer):
			return o.sparse(f.end)
		}
		return nil
	})
}

// node looks for tensors in the attributes of a node, which stand behind its
// outputs.
func (o *onnxFile) node(end int64, depth int) error {
	output := ""
	return o.fields(end, func(f field) (err error) {
		switch {
		case f.is(nodeOutput) && output == "":
			output, err = o.string(f.end)
		case f.is(nodeAttribute):
			err = o.attribute(f.end, output, depth)
		}
		return err
	})
}

func (o *onnxFile) attribute(end int64, output string, depth int) error {
	return o.fields(end, func(f field) error {
		switch {
		case f.is(attributeTensor, attributeTensors):
			return o.tensor(f.end, output)
		case f.is(attributeGraph, attributeGraphs):
			return o.graph(f.end, depth+1)
		case f.is(attributeSparseTensor, attributeSparseTensors):
			return o.sparse(f.end)
		}
		return nil
	})
}

func (o *onnxFile) sparse(end int64) error {
	return o.fields(end, func(f field) error {
		if f.is(sparseValues, sparseIndices) {
			return o.tensor(f.end, "")
		}
		return nil
	})
}

func (o *onnxFile) string(end int64) (string, error) {
	n := end - o.w.pos
	if n > MaxName {
		return "", malformed("a name of %d bytes at byte %d: at most %d are possible", n, o.w.pos, MaxName)
	}
	b, err := o.w.take(int(n))
	if err != nil {
		return "", err
	}
	return string(b), checkName(string(b))
}

// onnxTensor is a tensor whose fields come in any order.
type onnxTensor struct {
	Tensor
	typ      uint64
	external bool
	payload  protowire.Number // which field the elements stand in
	pieces   int              // in how many pieces
}

// tensor adds a tensor, called name if it has no name itself.
func (o *onnxFile) tensor(end int64, name string) error {
	start := o.w.pos
	t := onnxTensor{Tensor: Tensor{Shape: []int64{}}}
	err := o.fields(end, func(f field) (err error) {
		switch {
		case f.num == tensorDims:
			err = o.dims(f, &t)
		case f.num == tensorType && f.typ == protowire.VarintType:
			t.typ = f.value
		case f.num == tensorLocation && f.typ == protowire.VarintType:
			t.external = t.external || f.value != 0
		case f.is(tensorExternalData):
			t.external = true
		case f.is(tensorName):
			t.Name, err = o.string(f.end)
		case f.is(tensorRaw, tensorFloats, tensorDoubles) && f.end > o.w.pos:
			t.payload, t.Offset, t.Size = f.num, o.w.pos, f.end-o.w.pos
			t.pieces++
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case t.external || t.pieces == 0:
		return nil
	case t.pieces > 1:
		return malformed("the tensor at byte %d has its elements twice", start)
	}
	if t.Name == "" {
		t.Name = name
	}
	if t.DType, err = t.check(); err != nil {
		return malformed("the tensor %.100q at byte %d: %w", t.Name, start, err)
	}
	return o.tensors.add(t.Tensor)
}

// dims adds dimensions, packed or not.
func (o *onnxFile) dims(f field, t *onnxTensor) error {
	switch f.typ {
	case protowire.VarintType:
		return t.dim(f.value)
	case protowire.BytesType:
		for o.w.pos < f.end {
			v, err := o.varint(f.end)
			if err != nil {
				return err
			}
			if err := t.dim(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *onnxTensor) dim(v uint64) error {
	if len(t.Shape) == maxDims {
		return malformed("a tensor of more than %d dimensions", maxDims)
	}
	t.Shape = append(t.Shape, int64(v)) // below zero is refused with the type
	return nil
}

// check compares type, shape and size, and returns the type. Floats and doubles
// hold both parts of complex numbers.
func (t *onnxTensor) check() (DType, error) {
	n, ok := elementsOf(t.Shape)
	if !ok {
		return "", errShape
	}
	d, known := onnxTypes[t.typ]
	if !known {
		d = DType("type_" + strconv.FormatUint(t.typ, 10))
	}
	e := elements[d]
	if t.payload == tensorFloats && e.class != Float32 || t.payload == tensorDoubles && e.class != Float64 {
		return "", errType
	}
	if size, ok := int64(0), known; ok {
		if size, ok = e.sizeOf(n); !ok || size != t.Size {
			return "", errShape
		}
	}
	return d, nil
}
