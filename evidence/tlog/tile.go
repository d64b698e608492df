package tlog

import (
	"encoding/binary"
	"fmt"
	"strings"

	merkle "golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	// entriesLevel stands for entry bundles, as in x/mod.
	entriesLevel = -1
	// maxBundle is the largest bundle of entries, in bytes.
	maxBundle = tileWidth * (2 + MaxEntry)
)

// tilePath is where a tile lies. The layout is that of x/mod without the
// height of the tiles, which tlog-tiles fixes, and with a name of its own for
// the entries.
func tilePath(level int, n int64, width int) string {
	path := merkle.Tile{H: tileHeight, L: level, N: n, W: width}.Path()
	rest := strings.TrimPrefix(path, "tile/8/")
	if data, ok := strings.CutPrefix(rest, "data/"); ok {
		return "tile/entries/" + data
	}
	return "tile/" + rest
}

// parseTilePath is the reverse; it takes the one form of a path only.
func parseTilePath(path string) (level int, n int64, width int, ok bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || strings.HasPrefix(rest, "data/") {
		return 0, 0, 0, false
	}
	if entries, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + entries
	}
	t, err := merkle.ParseTilePath("tile/8/" + rest)
	if err != nil || t.L > maxLevel || t.N > MaxSize || tilePath(t.L, t.N, t.W) != path {
		return 0, 0, 0, false
	}
	return t.L, t.N, t.W, true
}

// maxLevel is the highest level of tiles that a log of MaxSize has.
const maxLevel = 5

// widthAt is how many hashes the last, partial tile of a level has; 0 is none.
func widthAt(size int64, level int) int {
	if level == entriesLevel {
		level = 0
	}
	return int(size >> (tileHeight * level) & (tileWidth - 1))
}

// fullAt is how many full tiles a level has.
func fullAt(size int64, level int) int64 {
	if level == entriesLevel {
		level = 0
	}
	return size >> (tileHeight * (level + 1))
}

// tile is a tile with the nodes above its hashes: nodes[k][i] is the hash over
// 1<<k of them.
type tile struct {
	nodes [tileHeight + 1][]Hash
}

func newTile(leaves []Hash) *tile {
	t := &tile{}
	room := make([]Hash, 0, 2*len(leaves))
	room = append(room, leaves...)
	t.nodes[0] = room
	below := room
	for k := 1; k <= tileHeight && len(below) > 1; k++ {
		start := len(room)
		for i := 0; i+1 < len(below); i += 2 {
			room = append(room, merkle.NodeHash(below[i], below[i+1]))
		}
		below = room[start:]
		t.nodes[k] = below
	}
	return t
}

// root is the hash over a full tile.
func (t *tile) root() Hash { return t.nodes[tileHeight][0] }

func (t *tile) leaves() []Hash { return t.nodes[0] }

func encodeTile(leaves []Hash) []byte {
	out := make([]byte, 0, len(leaves)*merkle.HashSize)
	for _, h := range leaves {
		out = append(out, h[:]...)
	}
	return out
}

func decodeTile(raw []byte) []Hash {
	leaves := make([]Hash, len(raw)/merkle.HashSize)
	for i := range leaves {
		leaves[i] = Hash(raw[i*merkle.HashSize:])
	}
	return leaves
}

func appendEntry(bundle, entry []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry))) // at most MaxEntry
	return append(bundle, entry...)
}

// splitBundle reads the first count entries of a bundle; rest is what follows.
func splitBundle(raw []byte, count int) (entries [][]byte, rest []byte, err error) {
	entries = make([][]byte, 0, count)
	for i := range count {
		if len(raw) < 2 {
			return nil, nil, fmt.Errorf("%w: the bundle ends before entry %d", ErrCorrupt, i)
		}
		n := int(binary.BigEndian.Uint16(raw))
		if n == 0 || n > MaxEntry || len(raw) < 2+n {
			return nil, nil, fmt.Errorf("%w: entry %d of the bundle has %d bytes", ErrCorrupt, i, n)
		}
		entries = append(entries, raw[2:2+n:2+n])
		raw = raw[2+n:]
	}
	return entries, raw, nil
}
