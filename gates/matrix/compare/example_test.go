package compare_test

import (
	"fmt"
	"slices"

	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
)

// The first digest is the SHA-256 of the bytes 01 01 31 01 00 and the second that of
// 01 01 31 00; the third is their sum, part by part, without the carry from one to the next.
func ExampleDigest() {
	empty := fixture.Row{{Text: "1"}, {Text: ""}}
	null := fixture.Row{{Text: "1"}, {Null: true}}
	for _, rows := range [][]fixture.Row{{empty}, {null}, {empty, null}, {null, empty}, nil} {
		digest := compare.Digest(slices.Values(rows))
		fmt.Println(digest[:16], digest[16:32], digest[32:48], digest[48:])
	}
	// Output:
	// 66b232e3ff4f7f2b d04346eec88b462b 38f239b47559cc46 6f53460f9a3573b0
	// 2c5e5be61768c95a ca6054388c2ef205 8b12be078ce0c135 83a47b9a6dda8ab7
	// 93108eca16b84885 9aa39b2754ba3830 c404f7bc023a8d7b f2f7c1aa080ffe67
	// 93108eca16b84885 9aa39b2754ba3830 c404f7bc023a8d7b f2f7c1aa080ffe67
	// 0000000000000000 0000000000000000 0000000000000000 0000000000000000
}
