// Package redacttest checks that a secret type does not print.
package redacttest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"reflect"
	"strings"

	"github.com/aivault/aivault/crypto/redact"
)

// probe is how many bytes of a secret may not be seen in a row.
const probe = 8

// verbs are all those of fmt.
const verbs = "vtbcdoOqxXUeEfFgGsTpw"

// holders are the places in which a secret of type T may stand.
type holders[T any] struct {
	Pointer *T
	Value   T
	hidden  T
	pointer *T
	Slice   []T
	Map     map[string]*T
	Any     any
}

// Check reports if *secret prints otherwise than as [redact.Text], and each way
// to print it, or something that holds it, which shows any of the given secret
// bytes: as they are, or in hex, base64 or decimal. A secret shorter than 8
// bytes is an error.
func Check[T any](secret *T, hidden ...[]byte) error {
	var needles []string
	for _, b := range hidden {
		if len(b) < probe {
			return fmt.Errorf("a secret of %d bytes is too short to look for", len(b))
		}
		needles = append(needles, spellings(b)...)
	}
	errs := []error{redacted(secret), redacted(*secret)}
	h := holders[T]{secret, *secret, *secret, secret, []T{*secret}, map[string]*T{"k": secret}, *secret}
	for _, v := range []any{secret, *secret, h, &h, []any{secret, *secret}} {
		for how, printed := range prints(v) {
			for _, needle := range needles {
				if strings.Contains(printed, needle) {
					errs = append(errs, fmt.Errorf("%T shows through %s", v, how))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// redacted reports where v prints otherwise than as redact.Text. Three verbs
// never ask a value how to print: %T and %p, and %w outside of Errorf.
func redacted(v any) error {
	for _, verb := range strings.Trim(verbs, "Tpw") {
		if printed := fmt.Sprintf("%"+string(verb), v); printed != redact.Text {
			return fmt.Errorf("%T prints as %q with %%%c", v, printed, verb)
		}
	}
	if b, err := json.Marshal(v); err != nil || string(b) != `"`+redact.Text+`"` {
		return fmt.Errorf("%T prints in JSON as %q, %v", v, b, err)
	}
	return nil
}

// spellings returns how the beginning of b may look, wherever it stands.
func spellings(b []byte) []string {
	head := b[:probe]
	out := []string{
		string(head),
		hex.EncodeToString(head),
		strings.ToUpper(hex.EncodeToString(head)),
		fmt.Sprintf("% x", head),
		fmt.Sprintf("% X", head),
		strings.Trim(fmt.Sprint(head), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", head), "[]byte{"), "}"),
		new(big.Int).SetBytes(b).String(),
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		out = append(out, e.EncodeToString(head[:probe/3*3]))
	}
	return out
}

// prints returns what v looks like, by the way of printing it.
func prints(v any) map[string]string {
	out := make(map[string]string)
	for _, verb := range verbs {
		for _, flags := range []string{"", "+", "#", " ", "0", "-", "+#", "# "} {
			format := "%" + flags + string(verb)
			out["fmt "+format] = fmt.Sprintf(format, v)
		}
	}
	out["print"] = fmt.Sprint(v) + fmt.Sprintln(v)
	out["an error"] = fmt.Errorf("cannot: %v", v).Error()
	if b, err := json.Marshal(v); err == nil {
		out["JSON"] = string(b)
	}
	if b, err := xml.Marshal(v); err == nil {
		out["XML"] = string(b)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("a message", "key", v, slog.Group("group", "key", v))
		out[name] = b.String()
	}
	var b strings.Builder
	dump(&b, reflect.ValueOf(v), 0)
	out["reflection"] = b.String()
	return out
}

// dump writes every byte that reflection reaches from v, as debuggers' printers
// do, unexported fields and what pointers point to included.
func dump(b *strings.Builder, v reflect.Value, depth int) {
	if depth > 20 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			dump(b, v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			dump(b, v.Field(i), depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			dump(b, v.Index(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			dump(b, it.Value(), depth+1)
		}
	case reflect.Uint8:
		b.WriteByte(byte(v.Uint()))
	case reflect.String:
		b.WriteString(v.String())
	}
}
