package canon

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// AppendFloat adds the shortest text that reads back as the same value.
func AppendFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, bits)
}

// AppendNumeric adds a value in PostgreSQL's binary format: int16 number of digits,
// weight, sign and display scale, then base-10000 digits
// (src/backend/utils/adt/numeric.c, numeric_send).
func AppendNumeric(dst, v []byte) ([]byte, error) {
	if len(v) < 8 || len(v)%2 != 0 || int(binary.BigEndian.Uint16(v))*2 != len(v)-8 {
		return dst, fmt.Errorf("%x is no numeric", v)
	}
	n, weight, scale := int(binary.BigEndian.Uint16(v)), int(int16(binary.BigEndian.Uint16(v[2:]))), int(binary.BigEndian.Uint16(v[6:]))
	switch sign := binary.BigEndian.Uint16(v[4:]); sign {
	case 0:
	case 0x4000:
		dst = append(dst, '-')
	case 0xC000:
		return append(dst, "NaN"...), nil
	case 0xD000:
		return append(dst, "Infinity"...), nil
	case 0xF000:
		return append(dst, "-Infinity"...), nil
	default:
		return dst, fmt.Errorf("numeric with the sign %x", sign)
	}
	digit := func(i int) uint16 {
		if i < 0 || i >= n {
			return 0
		}
		return binary.BigEndian.Uint16(v[8+2*i:])
	}
	four := func(d uint16) [4]byte {
		return [4]byte{'0' + byte(d/1000), '0' + byte(d/100%10), '0' + byte(d/10%10), '0' + byte(d%10)}
	}
	begun := false
	for i := 0; i <= weight; i++ {
		d := digit(i)
		if !begun {
			if d != 0 {
				dst, begun = strconv.AppendUint(dst, uint64(d), 10), true
			}
			continue
		}
		f := four(d)
		dst = append(dst, f[:]...)
	}
	if !begun {
		dst = append(dst, '0')
	}
	if scale == 0 {
		return dst, nil
	}
	dst = append(dst, '.')
	for i, left := weight+1, scale; left > 0; i, left = i+1, left-4 {
		f := four(digit(i))
		dst = append(dst, f[:min(left, 4)]...)
	}
	return dst, nil
}

// AppendUnscaled adds a whole number divided by ten to the scale.
func AppendUnscaled(dst []byte, n int64, scale int) []byte {
	var digits [20]byte
	u := uint64(n)
	if n < 0 {
		dst = append(dst, '-')
		u = -u
	}
	return appendPoint(dst, strconv.AppendUint(digits[:0], u, 10), scale)
}

// AppendUnscaledBytes does so for a big-endian number in two's complement.
func AppendUnscaledBytes(dst, v []byte, scale int) []byte {
	n := new(big.Int).SetBytes(v)
	if len(v) > 0 && v[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))))
	}
	if n.Sign() < 0 {
		dst = append(dst, '-')
		n.Neg(n)
	}
	return appendPoint(dst, n.Append(nil, 10), scale)
}

func appendPoint(dst, digits []byte, scale int) []byte {
	whole := len(digits) - scale
	if whole > 0 {
		dst = append(dst, digits[:whole]...)
		digits = digits[whole:]
	} else {
		dst = append(dst, '0')
	}
	if scale > 0 {
		dst = append(dst, '.')
		for range scale - len(digits) {
			dst = append(dst, '0')
		}
		dst = append(dst, digits...)
	}
	return dst
}

// Unscaled gives a decimal with exactly scale digits after the point times ten to the scale.
func Unscaled(text string, scale int) (*big.Int, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) != scale {
		return nil, fmt.Errorf("%q has not %d digits after the point", text, scale)
	}
	n, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return nil, fmt.Errorf("%q is no decimal", text)
	}
	return n, nil
}

// TwosComplement gives a number in so many bytes, big-endian.
func TwosComplement(n *big.Int, width int) ([]byte, error) {
	size := n.BitLen()
	if n.Sign() < 0 {
		size = new(big.Int).Not(n).BitLen()
	}
	if size > 8*width-1 {
		return nil, fmt.Errorf("%s does not fit in %d bytes", n, width)
	}
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*width)))
	}
	return n.FillBytes(make([]byte, width)), nil
}
