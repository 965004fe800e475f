package transfer

import (
	"context"

	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/manifest"
)

// encoders are what encodes chunks, a fixed number, made when first needed.
type encoders chan *encoder

type encoder struct {
	codec *codec.Encoder
	buf   []byte
}

func newEncoders(n int) encoders {
	e := make(encoders, n)
	for range n {
		e <- new(encoder)
	}
	return e
}

// encode encodes content, if that makes what is stored smaller. What it returns
// is to be released instead, and release is called as soon as content is not
// needed any more, but not after an error.
func (r *run) encode(ctx context.Context, content chunk.Content, kind codec.Kind, release func()) (chunk.Content, func(), error) {
	if r.encoders == nil || kind == codec.Opaque {
		return content, release, nil
	}
	var e *encoder
	select {
	case e = <-r.encoders:
	case <-ctx.Done():
		return content, release, context.Cause(ctx)
	}
	if e.codec == nil {
		e.codec = codec.NewEncoder()
		e.buf = make([]byte, 0, plainSize+codec.Spare)
	}
	name, out := e.codec.Encode(e.buf, content.Bytes, kind)
	if name == codec.None || r.Padded && manifest.PaddedSize(int64(len(out))) == manifest.PaddedSize(int64(len(content.Bytes))) {
		r.encoders <- e
		return content, release, nil
	}
	release()
	content.Bytes, content.Encoding = out, name
	return content, func() { r.encoders <- e }, nil
}
