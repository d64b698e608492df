package logical

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The wire format of numeric (numeric_send in PostgreSQL's numeric.c).
const (
	numericHeader   = 8 // bytes before the digits
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericPlusInf  = 0xD000
	numericMinusInf = 0xF000

	// Infinities are sent with this display scale, a trace of how the server keeps them.
	infinityScale = 0x20

	maxDisplayScale = 16383 // digits after the point
	maxWeight       = 32767 // base-10000 digits before the point, less one
	maxExponent     = 1000000
	unbounded       = maxDisplayScale + 1
)

// AppendNumeric adds the number with the decimal text: an optional sign, digits
// with at most one point, an optional exponent; or NaN, Infinity, -Infinity, in any
// case. The digits after the point, less the exponent, are the display scale, which
// is kept.
func AppendNumeric(dst []byte, text string) ([]byte, error) {
	return appendNumeric(dst, Type{Kind: Numeric}, text)
}

// appendNumeric adds a number of the type t. In a bounded type every value has the
// type's scale as display scale, as in PostgreSQL; digits are never rounded off.
func appendNumeric[T string | []byte](dst []byte, t Type, text T) ([]byte, error) {
	i, negative := 0, false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		i = 1
	}
	if i < len(text) && text[i] != '.' && (text[i] < '0' || text[i] > '9') {
		return appendNumericSpecial(dst, t, text)
	}
	first := i // of the digits
	point := -1
	digits, lead, last := 0, -1, -1 // number of digits, the first and last of them that is not 0
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' && point < 0 {
			point = digits
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if c != '0' {
			if lead < 0 {
				lead = digits
			}
			last = digits
		}
		digits++
	}
	if digits == 0 {
		return dst, fmt.Errorf("%s: %s is not a number", t, quote(text))
	}
	end := i
	before := digits // digits before the point
	if point >= 0 {
		before = point
	}
	exponent := 0
	if i < len(text) {
		var ok bool
		if exponent, ok = parseExponent(text, i); !ok {
			return dst, fmt.Errorf("%s: %s is not a number", t, quote(text))
		}
		if exponent > maxExponent || exponent < -maxExponent {
			return dst, fmt.Errorf("%s: the exponent of %s is out of range", t, quote(text))
		}
	}
	scale := max(0, digits-before-exponent)
	before += exponent // digit k now stands for 10^(before-1-k)
	if t.Precision > 0 {
		if lead >= 0 && before-1-last < -t.Scale {
			return dst, fmt.Errorf("%s: %s has digits that the scale %d cannot hold; they are not rounded off", t, quote(text), t.Scale)
		}
		if lead >= 0 && before-lead > t.Precision-t.Scale {
			return dst, fmt.Errorf("%s: %s has more than %d digits before the point", t, quote(text), t.Precision-t.Scale)
		}
		scale = max(0, t.Scale)
	}
	if scale > maxDisplayScale {
		return dst, fmt.Errorf("%s: %s has more than %d digits after the point", t, quote(text), maxDisplayScale)
	}
	if lead < 0 {
		return appendNumericHeader(dst, 0, 0, numericPositive, scale), nil
	}
	weight := int(floorDiv(int64(before-1-lead), 4))
	if weight > maxWeight {
		return dst, fmt.Errorf("%s: %s has more than %d digits before the point", t, quote(text), (maxWeight+1)*4)
	}
	lowest := int(floorDiv(int64(before-1-last), 4))
	sign := numericPositive
	if negative {
		sign = numericNegative
	}
	dst = appendNumericHeader(dst, weight-lowest+1, weight, sign, scale)
	place := before - 1
	group := 0
	for j := first; j < end; j++ {
		if text[j] == '.' {
			continue
		}
		if k := before - 1 - place; k >= lead {
			group = group*10 + int(text[j]-'0')
			if place&3 == 0 {
				dst = binary.BigEndian.AppendUint16(dst, uint16(group))
				group = 0
			}
			if k == last {
				break
			}
		}
		place--
	}
	if rest := place & 3; rest != 0 {
		for range rest {
			group *= 10
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(group))
	}
	return dst, nil
}

func appendNumericHeader(dst []byte, digits, weight, sign, scale int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(digits))
	dst = binary.BigEndian.AppendUint16(dst, uint16(int16(weight)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(sign))
	return binary.BigEndian.AppendUint16(dst, uint16(scale))
}

func appendNumericSpecial[T string | []byte](dst []byte, t Type, text T) ([]byte, error) {
	switch {
	case equalFold(text, "nan"):
		return appendNumericHeader(dst, 0, 0, numericNaN, 0), nil
	case t.Precision > 0: // as in PostgreSQL, a bounded type has no infinity
	case equalFold(text, "infinity"), equalFold(text, "inf"), equalFold(text, "+infinity"), equalFold(text, "+inf"):
		return appendNumericHeader(dst, 0, 0, numericPlusInf, infinityScale), nil
	case equalFold(text, "-infinity"), equalFold(text, "-inf"):
		return appendNumericHeader(dst, 0, 0, numericMinusInf, infinityScale), nil
	}
	return dst, fmt.Errorf("%s: %s is not a number of this type", t, quote(text))
}

// equalFold compares with a lower-case ASCII word.
func equalFold[T string | []byte](text T, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i := range len(word) {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// parseExponent reads e, a sign and digits up to the end; beyond maxExponent it only says so.
func parseExponent[T string | []byte](text T, i int) (exponent int, ok bool) {
	if text[i] != 'e' && text[i] != 'E' {
		return 0, false
	}
	i++
	negative := false
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		negative = text[i] == '-'
		i++
	}
	if i == len(text) {
		return 0, false
	}
	for ; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		exponent = min(exponent*10+int(text[i]-'0'), maxExponent+1)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, true
}

// NumericText adds the text of a numeric, which [AppendNumeric] reads back as the same value.
func NumericText(dst, b []byte) ([]byte, error) {
	if err := validateNumeric(Type{Kind: Numeric}, b); err != nil {
		return dst, err
	}
	digits := int(binary.BigEndian.Uint16(b))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	scale := int(binary.BigEndian.Uint16(b[6:]))
	switch binary.BigEndian.Uint16(b[4:]) {
	case numericNaN:
		return append(dst, "NaN"...), nil
	case numericPlusInf:
		return append(dst, "Infinity"...), nil
	case numericMinusInf:
		return append(dst, "-Infinity"...), nil
	case numericNegative:
		dst = append(dst, '-')
	}
	b = b[numericHeader:]
	if weight < 0 {
		dst = append(dst, '0')
	}
	for i := 0; i <= weight; i++ {
		g := group(b, digits, i)
		if i == 0 {
			switch { // the first group has no leading zeros
			case g >= 1000:
				dst = appendGroup(dst, g, 4)
			case g >= 100:
				dst = append(dst, byte('0'+g/100), byte('0'+g/10%10), byte('0'+g%10))
			case g >= 10:
				dst = append(dst, byte('0'+g/10), byte('0'+g%10))
			default:
				dst = append(dst, byte('0'+g))
			}
			continue
		}
		dst = appendGroup(dst, g, 4)
	}
	if scale == 0 {
		return dst, nil
	}
	dst = append(dst, '.')
	for i := weight + 1; scale > 0; i++ {
		dst = appendGroup(dst, group(b, digits, i), min(scale, 4))
		scale -= 4
	}
	return dst, nil
}

// group gives the base-10000 digit i, which is 0 before the first and after the last.
func group(b []byte, digits, i int) int {
	if i < 0 || i >= digits {
		return 0
	}
	return int(binary.BigEndian.Uint16(b[2*i:]))
}

// appendGroup adds the first n of the four decimal digits of g.
func appendGroup(dst []byte, g, n int) []byte {
	four := [4]byte{byte('0' + g/1000), byte('0' + g/100%10), byte('0' + g/10%10), byte('0' + g%10)}
	return append(dst, four[:n]...)
}

// validateNumeric says whether b is the one encoding of a number of the type t.
func validateNumeric(t Type, b []byte) error {
	if len(b) < numericHeader {
		return fmt.Errorf("%s: a value has at least %d bytes, not %d", t, numericHeader, len(b))
	}
	digits := int(binary.BigEndian.Uint16(b))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	scale := int(binary.BigEndian.Uint16(b[6:]))
	if len(b) != numericHeader+2*digits {
		return fmt.Errorf("%s: a value of %d digits has %d bytes, not %d", t, digits, numericHeader+2*digits, len(b))
	}
	switch sign {
	case numericNaN, numericPlusInf, numericMinusInf:
		want := 0
		if sign != numericNaN {
			want = infinityScale
			if t.Precision > 0 {
				return fmt.Errorf("%s: a bounded numeric cannot be infinite", t)
			}
		}
		if digits != 0 || weight != 0 || scale != want {
			return fmt.Errorf("%s: %x is not the one encoding of NaN or infinity", t, clip(b))
		}
		return nil
	case numericPositive, numericNegative:
	default:
		return fmt.Errorf("%s: %04x is no sign", t, sign)
	}
	if scale > maxDisplayScale {
		return fmt.Errorf("%s: the display scale %d is more than %d", t, scale, maxDisplayScale)
	}
	if t.Precision > 0 && scale != max(0, t.Scale) {
		return fmt.Errorf("%s: the display scale is %d", t, scale)
	}
	if digits == 0 {
		if weight != 0 || sign != numericPositive {
			return fmt.Errorf("%s: %x is not the one encoding of zero", t, clip(b))
		}
		return nil
	}
	b = b[numericHeader:]
	for i := range digits {
		if group(b, digits, i) > 9999 {
			return fmt.Errorf("%s: digit %d is %d, more than 9999", t, i, group(b, digits, i))
		}
	}
	first, last := group(b, digits, 0), group(b, digits, digits-1)
	if first == 0 || last == 0 {
		return errors.New(t.String() + ": the first and the last digit must not be 0")
	}
	before := weight * 4 // decimal digits before the point
	for ; first > 0; first /= 10 {
		before++
	}
	after := (digits - 1 - weight) * 4 // decimal digits after the point, negative for zeros before it
	for ; last%10 == 0; last /= 10 {
		after--
	}
	if after > scale {
		return fmt.Errorf("%s: there are %d digits after the point, and the display scale is %d", t, after, scale)
	}
	if t.Precision > 0 && (after > t.Scale || before > t.Precision-t.Scale) {
		return fmt.Errorf("%s: the number does not fit: %d digits before the point, %d after it", t, before, after)
	}
	return nil
}
