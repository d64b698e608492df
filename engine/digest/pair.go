package digest

import "encoding/binary"

const block = 64 // bytes of SHA-256

// initial is the hash value that SHA-256 starts from (FIPS 180-4, 5.3.3), in the order that blocks wants.
func initial() [8]uint32 {
	return [8]uint32{0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}
}

// spare is the room that pad needs behind a message.
const spare = block + 8

// pad ends a message as SHA-256 wants it (FIPS 180-4, 5.1.1).
func pad(message []byte) []byte {
	n := len(message)
	var tail [spare]byte
	tail[0] = 0x80
	zeros := (block + block - 8 - 1 - n%block) % block
	binary.BigEndian.PutUint64(tail[1+zeros:], uint64(n)*8)
	return append(message, tail[:1+zeros+8]...)
}

// lanes is the first 16 bytes of a SHA-256.
type lanes struct{ a, b uint64 }

// sumPair gives the lanes of two messages, which it pads in place when there is
// room. Both are hashed at once, which takes hardly longer than one of them.
func sumPair(x, y []byte) (lanes, lanes) {
	x, y = pad(x), pad(y)
	state := [2][8]uint32{initial(), initial()}
	both := min(len(x), len(y))
	blocks(&state, &x[0], &y[0], both/block)
	// What one has more is hashed beside itself.
	switch {
	case len(x) > both:
		keep := state[1]
		blocks(&state, &x[both], &x[both], (len(x)-both)/block)
		state[1] = keep
	case len(y) > both:
		keep := state[0]
		blocks(&state, &y[both], &y[both], (len(y)-both)/block)
		state[0] = keep
	}
	return lanesOf(&state[0]), lanesOf(&state[1])
}

func lanesOf(s *[8]uint32) lanes {
	return lanes{uint64(s[3])<<32 | uint64(s[2]), uint64(s[7])<<32 | uint64(s[6])}
}
