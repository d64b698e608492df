package file

import (
	"fmt"

	"github.com/dpone/dpone/engine/logical"
)

var plainText = logical.Type{Kind: logical.Text}

// convertible refuses to read a column in a type that does not hold its values.
func convertible(from, to logical.Type) error {
	whole := func(k logical.Kind) bool {
		return k == logical.Int16 || k == logical.Int32 || k == logical.Int64
	}
	f, t := from.Kind, to.Kind
	switch {
	case f == t && f != logical.Native:
	case f == logical.Text && t != logical.Native, t == logical.Text && f != logical.Native:
	case whole(f) && (whole(t) || t == logical.Numeric):
	case f == logical.Float32 && t == logical.Float64:
	case f == logical.JSON && t == logical.JSONB, f == logical.JSONB && t == logical.JSON:
	default:
		return fmt.Errorf("a column of type %s cannot be read as %s without loss", from, to)
	}
	return nil
}

// convert adds the value in the other type; text is memory for its text form.
func convert(dst []byte, from, to logical.Type, v []byte, text *[]byte) ([]byte, error) {
	if from.Kind == logical.Float32 && to.Kind == logical.Float64 {
		f, err := logical.ReadFloat64(from, v)
		return logical.AppendFloat64(dst, f), err
	}
	if from.Kind != logical.Text {
		var err error
		if *text, err = logical.AppendText((*text)[:0], from, v); err != nil {
			return dst, err
		}
		v = *text
	}
	return logical.ParseText(dst, to, v)
}
