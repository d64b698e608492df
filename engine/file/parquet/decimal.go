package parquet

import (
	"encoding/binary"
	"errors"
	"math/big"

	"github.com/dpone/dpone/engine/logical"
)

// decimalBytes is the least number of bytes of two's complement for the precision.
func decimalBytes(precision int) int {
	n := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
	return (n.BitLen() + 1 + 7) / 8
}

var errDecimal = errors.New("the value has no decimal: it is NaN, infinite, or has more digits than its type")

// unscaled gives the value of a canonical numeric times 10 to the scale. An error
// can also mean that it is too great for the way there, see [unscaledBig].
func unscaled(v []byte, precision, scale int) (int64, error) {
	digits, exponent, negative, err := decimalParts(v, scale)
	if err != nil {
		return 0, err
	}
	var acc int64
	const limit = (1<<63 - 1) / 10000
	for i := 0; i < len(digits); i += 2 {
		if acc >= limit {
			return 0, errDecimal
		}
		acc = acc*10000 + int64(binary.BigEndian.Uint16(digits[i:]))
	}
	for ; exponent > 0 && acc != 0; exponent-- {
		if acc >= limit {
			return 0, errDecimal
		}
		acc *= 10
	}
	for ; exponent < 0 && acc != 0; exponent++ {
		if acc%10 != 0 {
			return 0, errDecimal
		}
		acc /= 10
	}
	if precision <= 18 && acc >= pow10(precision) {
		return 0, errDecimal
	}
	if negative {
		acc = -acc
	}
	return acc, nil
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// decimalParts gives the base-10000 digits, the power of ten of the last of them
// after scaling, and the sign.
func decimalParts(v []byte, scale int) (digits []byte, exponent int, negative bool, err error) {
	if len(v) < 8 || len(v)%2 != 0 || int(binary.BigEndian.Uint16(v))*2 != len(v)-8 {
		return nil, 0, false, errDecimal
	}
	switch binary.BigEndian.Uint16(v[4:]) {
	case 0:
	case 0x4000:
		negative = true
	default:
		return nil, 0, false, errDecimal
	}
	digits = v[8:]
	weight := int(int16(binary.BigEndian.Uint16(v[2:])))
	return digits, 4*(weight-len(digits)/2+1) + scale, negative, nil
}

// unscaledBig is unscaled for any precision, as big-endian two's complement in dst.
func unscaledBig(dst []byte, v []byte, precision, scale int) error {
	if n, err := unscaled(v, precision, scale); err == nil && len(dst) >= 8 {
		fill := byte(0)
		if n < 0 {
			fill = 0xff
		}
		for i := range len(dst) - 8 {
			dst[i] = fill
		}
		binary.BigEndian.PutUint64(dst[len(dst)-8:], uint64(n))
		return nil
	}
	digits, exponent, negative, err := decimalParts(v, scale)
	if err != nil {
		return err
	}
	acc, base := new(big.Int), big.NewInt(10000)
	for i := 0; i < len(digits); i += 2 {
		acc.Mul(acc, base)
		acc.Add(acc, big.NewInt(int64(binary.BigEndian.Uint16(digits[i:]))))
	}
	if exponent > maxDecimal+8 || exponent < -maxDecimal-8 {
		if acc.Sign() != 0 {
			return errDecimal
		}
		exponent = 0
	}
	ten := big.NewInt(10)
	if exponent > 0 {
		acc.Mul(acc, ten.Exp(ten, big.NewInt(int64(exponent)), nil))
	} else if exponent < 0 {
		rest := new(big.Int)
		acc.QuoRem(acc, ten.Exp(ten, big.NewInt(int64(-exponent)), nil), rest)
		if rest.Sign() != 0 {
			return errDecimal
		}
	}
	if acc.Cmp(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)) >= 0 {
		return errDecimal
	}
	if negative && acc.Sign() != 0 {
		acc.Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*len(dst))), acc)
	}
	acc.FillBytes(dst)
	return nil
}

// appendDecimal adds the canonical value of an unscaled number.
func (c *chunk) appendDecimal(dst []byte, n int64) ([]byte, error) {
	t := c.column.Type
	negative := n < 0
	u := uint64(n)
	if negative {
		u = -u
	}
	var digits [20]byte
	i := len(digits)
	for u > 0 {
		i--
		digits[i] = '0' + byte(u%10)
		u /= 10
	}
	return c.decimalText(dst, t, digits[i:], negative)
}

// appendDecimalBytes does so for big-endian two's complement.
func (c *chunk) appendDecimalBytes(dst, v []byte) ([]byte, error) {
	if len(v) == 0 || len(v) > 512 {
		return dst, errDecimal
	}
	n := new(big.Int).SetBytes(v)
	negative := v[0]&0x80 != 0
	if negative {
		n.Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))), n)
	}
	var digits []byte
	if n.Sign() != 0 {
		digits = n.Append(nil, 10)
	}
	return c.decimalText(dst, c.column.Type, digits, negative)
}

// decimalText sets the point and lets the type's own parser check the precision.
func (c *chunk) decimalText(dst []byte, t logical.Type, digits []byte, negative bool) ([]byte, error) {
	text := c.text[:0]
	if negative && len(digits) > 0 {
		text = append(text, '-')
	}
	if n := len(digits) - t.Scale; n > 0 {
		text = append(text, digits[:n]...)
		digits = digits[n:]
	} else {
		text = append(text, '0')
	}
	if t.Scale > 0 {
		text = append(text, '.')
		for range t.Scale - len(digits) {
			text = append(text, '0')
		}
		text = append(text, digits...)
	}
	c.text = text
	return logical.ParseText(dst, t, text)
}
