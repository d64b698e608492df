package digest

// blocks takes n blocks of 64 bytes of two messages into their states, each of
// which has the words f, e, b, a, h, g, d, c of FIPS 180-4.
//
//go:noescape
func blocks(state *[2][8]uint32, a, b *byte, n int)

// cpuid asks the processor what it can do.
func cpuid(leaf uint32) (b, c uint32)

// paired says whether blocks runs here: it needs SSSE3, SSE4.1 and the SHA extensions.
var paired = canPair() //nolint:gochecknoglobals // a fact about the processor

func canPair() bool {
	const ssse3, sse41, sha = 1 << 9, 1 << 19, 1 << 29
	if _, c := cpuid(1); c&ssse3 == 0 || c&sse41 == 0 {
		return false
	}
	b, _ := cpuid(7)
	return b&sha != 0
}
