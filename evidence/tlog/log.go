package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/lockedfile"
	"golang.org/x/mod/sumdb/note"
	merkle "golang.org/x/mod/sumdb/tlog"
)

// Options say which log it is and who may write it.
type Options struct {
	// Origin names the log, by custom a URL without a scheme, for example
	// "github.com/dpone/dpone/evidence".
	Origin string
	// Signer signs checkpoints; nil leaves them unsigned. It needs Verifier,
	// of the same key.
	Signer note.Signer
	// Verifier checks checkpoints; its name must be Origin. When it is given, a
	// log without its signature is refused.
	Verifier note.Verifier
	// Remember is the file, outside the log, that holds the last checkpoint
	// that was seen. The first one is taken on trust. Empty means no memory.
	Remember string
	// Create makes a log that is not there yet.
	Create bool
	// AdoptUnsigned takes an unsigned log although a Verifier is given, so that
	// the next Append signs it: for the day on which a key comes to a log.
	AdoptUnsigned bool

	// before is for tests; see disk.
	before func(op, path string) error
}

func (o Options) check(dir string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("log: %w: %s", ErrOptions, fmt.Sprintf(format, args...))
	}
	if err := checkOrigin(o.Origin); err != nil {
		return wrong("%v", err)
	}
	if o.Signer != nil && (o.Verifier == nil || o.Signer.Name() != o.Verifier.Name() || o.Signer.KeyHash() != o.Verifier.KeyHash()) {
		return wrong("the signer needs the verifier of the same key")
	}
	if o.Verifier != nil && o.Verifier.Name() != o.Origin {
		return wrong("the key is named %q, the log %q", o.Verifier.Name(), o.Origin)
	}
	if o.Remember == "" {
		return nil
	}
	inside, err := within(dir, filepath.Dir(o.Remember))
	if err != nil {
		return wrong("remember: %v", err)
	}
	if inside {
		return wrong("remember: %s lies in the log, where whoever rewrites the log rewrites it too", o.Remember)
	}
	return nil
}

// within says whether a directory lies in another, through links.
func within(outer, inner string) (bool, error) {
	real := func(dir string) (string, error) {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		if resolved, err := filepath.EvalSymlinks(abs); err == nil {
			return resolved, nil
		}
		return abs, nil // not there yet
	}
	a, err := real(outer)
	if err != nil {
		return false, err
	}
	b, err := real(inner)
	if err != nil {
		return false, err
	}
	rel, err := filepath.Rel(a, b)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)), nil
}

// Log is an open log, as of the checkpoint that was read last. Its methods may
// be called from several goroutines at once.
type Log struct {
	dir  string
	opts Options
	root *os.Root
	lock *lockedfile.Mutex

	mu   sync.Mutex
	view *view
}

// view is the log at a checkpoint: the partial tiles at its edge, one a level,
// from which the root follows. Full tiles follow from the tile above them.
type view struct {
	checkpoint Checkpoint
	edge       []*tile
	// full are full tiles that were checked. A view that continues another
	// takes them over, and no other does: a log that was rewritten must not be
	// judged by the tiles of the old one.
	full *cache
}

type tileID struct {
	level int
	n     int64
}

// maxCache bounds the full tiles that are held, 16 KiB each.
const maxCache = 512

// cache holds full tiles, which never change.
type cache struct {
	mu    sync.Mutex
	tiles map[tileID]*tile
}

func newCache() *cache { return &cache{tiles: map[tileID]*tile{}} }

func (c *cache) get(id tileID) (*tile, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.tiles[id]
	return t, ok
}

func (c *cache) put(id tileID, t *tile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tiles) >= maxCache {
		for other := range c.tiles { // any one: the order of a map is as good as none
			delete(c.tiles, other)
			break
		}
	}
	c.tiles[id] = t
}

// Open opens the log in dir and checks its head: the signature, the tiles that
// the root follows from, and that it continues what is remembered. Without
// [Options].Create, a log that is not there is an error that wraps
// fs.ErrNotExist.
func Open(dir string, opts Options) (*Log, error) {
	if err := opts.check(dir); err != nil {
		return nil, err
	}
	if opts.Create {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	l := &Log{
		dir: dir, opts: opts, root: root,
		lock: lockedfile.MutexAt(filepath.Join(dir, lockName)),
	}
	err = l.Refresh()
	if opts.Create && errors.Is(err, fs.ErrNotExist) {
		if err = l.create(); err == nil {
			err = l.Refresh()
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return l, nil
}

// Close lets go of the directory.
func (l *Log) Close() error { return l.root.Close() }

// create writes the checkpoint of no entries, so that from the first entry on
// a log without a checkpoint is one whose checkpoint was taken away.
func (l *Log) create() error {
	unlock, err := l.hold(context.Background())
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := l.root.Lstat(checkpointName); err == nil {
		return nil // another was faster
	}
	c, err := sign(l.opts.Origin, 0, emptyRoot(), l.opts.Signer)
	if err != nil {
		return err
	}
	d := l.disk()
	if err := d.put(checkpointName, c.Raw); err != nil {
		return fmt.Errorf("log %s: %w", l.dir, err)
	}
	return d.flush()
}

func (l *Log) disk() *disk {
	return &disk{root: l.root, dirty: map[string]bool{}, before: l.opts.before}
}

// hold takes the lock of writers.
func (l *Log) hold(ctx context.Context) (unlock func(), err error) {
	info, err := l.root.Lstat(lockName)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("log %s: %w: %s is not a regular file", l.dir, ErrUnexpected, lockName)
	}
	return holdLock(ctx, l.lock)
}

// holdLock waits for a lock as long as the context lives.
func holdLock(ctx context.Context, lock *lockedfile.Mutex) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type held struct {
		unlock func()
		err    error
	}
	got := make(chan held, 1)
	go func() {
		unlock, err := lock.Lock()
		got <- held{unlock, err}
	}()
	select {
	case h := <-got:
		if h.err != nil {
			return nil, fmt.Errorf("log: lock: %w", h.err)
		}
		return h.unlock, nil
	case <-ctx.Done():
		go func() { // it cannot be called off; let go of it when it comes
			if h := <-got; h.err == nil {
				h.unlock()
			}
		}()
		return nil, ctx.Err()
	}
}

// Refresh reads the checkpoint again and checks that it continues the one
// before and the remembered one.
func (l *Log) Refresh() error {
	// The memory first: a writer moves the checkpoint before the memory, so what
	// is read next is never older than what was remembered.
	remembered, err := l.remembered()
	if err != nil {
		return err
	}
	c, err := l.readCheckpoint(remembered)
	if err != nil {
		return err
	}
	l.mu.Lock()
	before := l.view
	l.mu.Unlock()
	v := before
	if before == nil || string(before.checkpoint.Raw) != string(c.Raw) {
		if v, err = l.load(c, before, remembered); err != nil {
			return err
		}
	} else if err := l.continues(v, remembered); err != nil {
		return err
	}
	l.mu.Lock()
	l.view = v
	l.mu.Unlock()
	return l.remember(c)
}

func (l *Log) readCheckpoint(remembered *Checkpoint) (Checkpoint, error) {
	raw, err := read(l.root, checkpointName, MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		if remembered != nil && remembered.Size > 0 {
			return Checkpoint{}, fmt.Errorf("log %s: %w: the checkpoint is gone, %d entries were seen", l.dir, ErrTruncated, remembered.Size)
		}
		if _, statErr := l.root.Lstat("tile"); statErr == nil {
			return Checkpoint{}, fmt.Errorf("log %s: %w: there are tiles and no checkpoint", l.dir, ErrTruncated)
		}
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("log %s: %w", l.dir, err)
	}
	return checkHead(raw, l.dir, l.opts)
}

// checkHead checks a checkpoint against the options.
func checkHead(raw []byte, dir string, opts Options) (Checkpoint, error) {
	c, err := ParseCheckpoint(raw, nil)
	adopted := opts.AdoptUnsigned && c.Trust == Unsigned
	if err == nil && opts.Verifier != nil && !adopted {
		c, err = ParseCheckpoint(raw, opts.Verifier)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("log %s: %w", dir, err)
	}
	if c.Origin != opts.Origin {
		return Checkpoint{}, fmt.Errorf("log %s: %w: of %q, expected %q", dir, ErrOrigin, c.Origin, opts.Origin)
	}
	return c, nil
}

// load reads the tiles at the edge and checks that the root follows from them
// and that the log continues each of the older heads.
func (l *Log) load(c Checkpoint, before *view, remembered *Checkpoint) (*view, error) {
	v := &view{checkpoint: c, full: newCache()}
	heads := []*Checkpoint{remembered}
	if before != nil {
		heads = append(heads, &before.checkpoint)
	}
	for _, old := range heads {
		if old != nil && old.Size >= c.Size {
			// Told from the heads alone, also when the tiles are gone with it.
			if err := l.continues(v, old); err != nil {
				return nil, err
			}
		}
	}
	for level := 0; c.Size>>(tileHeight*level) > 0; level++ {
		var t *tile
		if width := widthAt(c.Size, level); width > 0 {
			leaves, err := readTile(l.root, level, fullAt(c.Size, level), width)
			if err != nil {
				return nil, fmt.Errorf("log %s: %w", l.dir, err)
			}
			t = newTile(leaves)
		}
		v.edge = append(v.edge, t)
	}
	root, err := merkle.TreeHash(c.Size, reader{l, v})
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", l.dir, err)
	}
	if root != c.Root {
		return nil, fmt.Errorf("log %s: %w: the tiles at the edge give the root %s, the checkpoint says %s", l.dir, ErrCorrupt, root, c.Root)
	}
	for _, old := range heads {
		if err := l.continues(v, old); err != nil {
			return nil, err
		}
	}
	if before != nil {
		v.full = before.full
	}
	return v, nil
}

// continues checks that the log at v begins with an older head.
func (l *Log) continues(v *view, old *Checkpoint) error {
	if old == nil {
		return nil
	}
	c := v.checkpoint
	switch {
	case old.Origin != c.Origin:
		return fmt.Errorf("log %s: %w: of %q was remembered, this is %q", l.dir, ErrOrigin, old.Origin, c.Origin)
	case old.Size > c.Size:
		return fmt.Errorf("log %s: %w: %d entries now, %d were seen", l.dir, ErrRollback, c.Size, old.Size)
	case old.Size == c.Size && old.Root != c.Root:
		return fmt.Errorf("log %s: %w: two roots for %d entries, %s now and %s seen", l.dir, ErrForked, c.Size, c.Root, old.Root)
	case old.Size == c.Size || old.Size == 0:
		return nil
	}
	root, err := merkle.TreeHash(old.Size, reader{l, v})
	if err != nil {
		return fmt.Errorf("log %s: %w", l.dir, err)
	}
	if root != old.Root {
		return fmt.Errorf("log %s: %w: the first %d entries have the root %s now and had %s", l.dir, ErrForked, old.Size, root, old.Root)
	}
	return nil
}

// Checkpoint is the head as of the last Open, Refresh or Append.
func (l *Log) Checkpoint() Checkpoint { return l.current().checkpoint }

func (l *Log) current() *view {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view
}

// tile returns a tile of the log at v, checked against the tiles above it.
func (l *Log) tile(v *view, level int, n int64) (*tile, error) {
	size := v.checkpoint.Size
	switch full := fullAt(size, level); {
	case n == full && widthAt(size, level) > 0:
		return v.edge[level], nil
	case n < 0 || n >= full:
		return nil, fmt.Errorf("log %s: no tile %d of level %d in %d entries", l.dir, n, level, size)
	}
	id := tileID{level, n}
	t, ok := v.full.get(id)
	if ok {
		return t, nil
	}
	above, err := l.tile(v, level+1, n/tileWidth)
	if err != nil {
		return nil, err
	}
	leaves, err := readTile(l.root, level, n, tileWidth)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", l.dir, err)
	}
	t = newTile(leaves)
	if t.root() != above.leaves()[n%tileWidth] {
		return nil, fmt.Errorf("log %s: %w: %s", l.dir, ErrCorrupt, tilePath(level, n, tileWidth))
	}
	v.full.put(id, t)
	return t, nil
}

// reader gives x/mod the nodes of the tree.
type reader struct {
	log  *Log
	view *view
}

func (r reader) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		level, n := merkle.SplitStoredHashIndex(index)
		above := level % tileHeight
		leaf := n << above // the first hash of the tile's lowest row below the node
		t, err := r.log.tile(r.view, level/tileHeight, leaf/tileWidth)
		if err != nil {
			return nil, err
		}
		row := t.nodes[above]
		at := leaf % tileWidth >> above
		if at >= int64(len(row)) {
			return nil, fmt.Errorf("no node %d at level %d", n, level)
		}
		hashes[i] = row[at]
	}
	return hashes, nil
}

// Proof proves that the log has the entry of an index.
func (l *Log) Proof(index int64) (Inclusion, error) {
	v := l.current()
	size := v.checkpoint.Size
	if index < 0 || index >= size {
		return Inclusion{}, fmt.Errorf("log %s: %w: no entry %d in a log of %d", l.dir, ErrInclusion, index, size)
	}
	hashes, err := merkle.ProveRecord(size, index, reader{l, v})
	if err != nil {
		return Inclusion{}, err
	}
	return Inclusion{Index: index, Hashes: hashes, Checkpoint: v.checkpoint}, nil
}

// WriteProof is Proof as a file that verifies on its own; see [VerifyProof].
func (l *Log) WriteProof(index int64) ([]byte, error) {
	p, err := l.Proof(index)
	if err != nil {
		return nil, err
	}
	return p.Encode(), nil
}

// Consistency proves that the log continues the one that had oldSize entries.
func (l *Log) Consistency(oldSize int64) (Consistency, error) {
	v := l.current()
	size := v.checkpoint.Size
	if oldSize < 0 || oldSize > size {
		return Consistency{}, fmt.Errorf("log %s: %w: it has %d entries, fewer than %d", l.dir, ErrConsistency, size, oldSize)
	}
	p := Consistency{OldSize: oldSize, Checkpoint: v.checkpoint}
	if oldSize == 0 {
		return p, nil
	}
	hashes, err := merkle.ProveTree(size, oldSize, reader{l, v})
	p.Hashes = hashes
	return p, err
}

// Record is an entry with its place in the log.
type Record struct {
	Index int64
	Data  []byte
}

// Entries goes through the entries from up to, not including, to. Each is
// checked against the tree before it is handed out; the first error ends it.
// One bundle of at most 256 entries is in memory at a time.
func (l *Log) Entries(from, to int64) iter.Seq2[Record, error] {
	v := l.current()
	return func(yield func(Record, error) bool) {
		size := v.checkpoint.Size
		if from < 0 || from > to || to > size {
			yield(Record{}, fmt.Errorf("log %s: no entries %d to %d in a log of %d", l.dir, from, to, size))
			return
		}
		for at := from; at < to; {
			n := at / tileWidth
			entries, err := l.bundle(v, n)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, data := range entries[at%tileWidth:] {
				if at == to {
					return
				}
				if !yield(Record{at, data}, nil) {
					return
				}
				at++
			}
		}
	}
}

// bundle reads the entries of a tile and checks them against it.
func (l *Log) bundle(v *view, n int64) ([][]byte, error) {
	t, err := l.tile(v, 0, n)
	if err != nil {
		return nil, err
	}
	entries, err := readBundle(l.root, n, len(t.leaves()))
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", l.dir, err)
	}
	for i, e := range entries {
		if merkle.RecordHash(e) != t.leaves()[i] {
			return nil, fmt.Errorf("log %s: %w: entry %d", l.dir, ErrCorrupt, n*tileWidth+int64(i))
		}
	}
	return entries, nil
}

// Append adds entries of 1 to MaxEntry bytes and returns the index of the
// first. They are in the log when the checkpoint is replaced, all at once;
// whatever stops it before leaves the log as it was. When only the memory of
// the new checkpoint fails, the index comes with the error; otherwise it is -1.
// One error leaves open what happened: that of flushing the new checkpoint.
//
// Without entries, Append signs an unsigned checkpoint if it can.
func (l *Log) Append(ctx context.Context, entries [][]byte) (first int64, err error) {
	for i, e := range entries {
		if len(e) == 0 || len(e) > MaxEntry {
			return -1, fmt.Errorf("log %s: %w: entry %d of %d has %d bytes, 1 to %d are allowed", l.dir, ErrEntrySize, i, len(entries), len(e), MaxEntry)
		}
	}
	unlock, err := l.hold(ctx)
	if err != nil {
		return -1, err
	}
	defer unlock()
	if err := l.Refresh(); err != nil {
		return -1, err
	}
	v := l.current()
	old := v.checkpoint
	switch {
	case l.opts.Signer == nil && (old.Trust != Unsigned || l.opts.Verifier != nil):
		return -1, fmt.Errorf("log %s: %w: a signed log goes on signed, and there is no key", l.dir, ErrUnsigned)
	case old.Size+int64(len(entries)) > MaxSize:
		return -1, fmt.Errorf("log %s: more than %d entries", l.dir, int64(MaxSize))
	case len(entries) == 0 && (l.opts.Signer == nil || old.Trust == Signed):
		return old.Size, nil
	}
	w := &writer{log: l, disk: l.disk(), size: old.Size}
	if err := w.begin(v); err != nil {
		return -1, err
	}
	for i, e := range entries {
		if i%tileWidth == 0 && ctx.Err() != nil {
			return -1, ctx.Err()
		}
		if err := w.add(e); err != nil {
			return -1, fmt.Errorf("log %s: %w", l.dir, err)
		}
	}
	now, err := w.commit(old)
	if err != nil {
		return -1, fmt.Errorf("log %s: %w", l.dir, err)
	}
	now.full = v.full
	for id, t := range w.full {
		now.full.put(id, t)
	}
	l.mu.Lock()
	l.view = now
	l.mu.Unlock()
	if err := l.remember(now.checkpoint); err != nil {
		return old.Size, err
	}
	w.tidy(old.Size)
	return old.Size, nil
}

// writer grows the tree by entries, tile after tile.
type writer struct {
	log  *Log
	disk *disk
	size int64
	// levels are the hashes of the partial tile of each level.
	levels [][]Hash
	bundle []byte
	// changed says that the partial tile of a level has to be written.
	changed []bool
	// full are the tiles that were completed, as long as there is room.
	full map[tileID]*tile
}

// begin takes over the edge of the log.
func (w *writer) begin(v *view) error {
	w.full = map[tileID]*tile{}
	for _, t := range v.edge {
		var leaves []Hash
		if t != nil {
			leaves = append(make([]Hash, 0, tileWidth), t.leaves()...)
		}
		w.levels = append(w.levels, leaves)
		w.changed = append(w.changed, false)
	}
	if widthAt(w.size, 0) > 0 {
		entries, err := w.log.bundle(v, fullAt(w.size, 0))
		if err != nil {
			return err
		}
		for _, e := range entries {
			w.bundle = appendEntry(w.bundle, e)
		}
	}
	return w.clean(v.checkpoint.Size)
}

// clean takes away what an append that did not finish left at the edge: wider
// partial tiles, and the full tile. What it left beyond the edge is taken away
// when the edge gets there.
func (w *writer) clean(size int64) error {
	for level := entriesLevel; level == entriesLevel || size>>(tileHeight*level) > 0; level++ {
		if err := w.cleanTile(level, fullAt(size, level), widthAt(size, level)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) cleanTile(level int, n int64, committed int) error {
	full := tilePath(level, n, tileWidth)
	if _, err := w.disk.root.Lstat(full); err == nil {
		if err := w.disk.remove(full); err != nil {
			return err
		}
	}
	names, err := w.disk.names(full + ".p")
	if err != nil {
		return err
	}
	for _, name := range names {
		if width, err := strconv.Atoi(name); err == nil && width > committed {
			if err := w.disk.remove(full + ".p/" + name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) add(entry []byte) error {
	w.bundle = appendEntry(w.bundle, entry)
	hash := merkle.RecordHash(entry)
	w.size++
	for level := 0; ; level++ {
		if level == len(w.levels) {
			w.levels = append(w.levels, make([]Hash, 0, tileWidth))
			w.changed = append(w.changed, false)
			// This level had no tile; a crash may have left some.
			if err := w.cleanTile(level, 0, 0); err != nil {
				return err
			}
		}
		w.levels[level] = append(w.levels[level], hash)
		w.changed[level] = true
		if len(w.levels[level]) < tileWidth {
			return nil
		}
		n := fullAt(w.size, level) - 1
		if level == 0 {
			if err := w.complete(entriesLevel, n, w.bundle); err != nil {
				return err
			}
			w.bundle = w.bundle[:0]
		}
		if err := w.complete(level, n, encodeTile(w.levels[level])); err != nil {
			return err
		}
		t := newTile(w.levels[level])
		if len(w.full) < maxCache {
			w.full[tileID{level, n}] = t
		}
		w.levels[level], w.changed[level] = w.levels[level][:0], false
		hash = t.root()
	}
}

// complete writes a full tile and turns to the next.
func (w *writer) complete(level int, n int64, content []byte) error {
	if err := w.disk.put(tilePath(level, n, tileWidth), content); err != nil {
		return err
	}
	return w.cleanTile(level, n+1, 0)
}

// commit writes the partial tiles, makes all of it durable, and only then
// replaces the checkpoint.
func (w *writer) commit(old Checkpoint) (*view, error) {
	v := &view{}
	for level, leaves := range w.levels {
		if len(leaves) == 0 {
			v.edge = append(v.edge, nil)
			continue
		}
		v.edge = append(v.edge, newTile(leaves))
		if !w.changed[level] {
			continue
		}
		n := fullAt(w.size, level)
		if level == 0 {
			if err := w.disk.put(tilePath(entriesLevel, n, len(leaves)), w.bundle); err != nil {
				return nil, err
			}
		}
		if err := w.disk.put(tilePath(level, n, len(leaves)), encodeTile(leaves)); err != nil {
			return nil, err
		}
	}
	v.checkpoint = Checkpoint{Size: w.size}
	root, err := merkle.TreeHash(w.size, reader{w.log, v})
	if err != nil {
		return nil, err
	}
	if v.checkpoint, err = sign(old.Origin, w.size, root, w.log.opts.Signer); err != nil {
		return nil, err
	}
	if w.log.opts.Signer != nil {
		// Whatever signed it, nothing is published that would be refused.
		if _, err := ParseCheckpoint(v.checkpoint.Raw, w.log.opts.Verifier); err != nil {
			return nil, err
		}
	}
	if err := w.disk.flush(); err != nil {
		return nil, err
	}
	if err := w.disk.put(checkpointName, v.checkpoint.Raw); err != nil {
		return nil, err
	}
	return v, w.disk.flush()
}

// tidy takes away the partial tiles of tiles that are full now. It may be
// stopped anywhere: what stays is true.
func (w *writer) tidy(oldSize int64) {
	for level := entriesLevel; level == entriesLevel || oldSize>>(tileHeight*level) > 0; level++ {
		n := fullAt(oldSize, level)
		if widthAt(oldSize, level) == 0 || fullAt(w.size, level) == n {
			continue
		}
		dir := tilePath(level, n, tileWidth) + ".p"
		names, err := w.disk.names(dir)
		if err != nil {
			return
		}
		for _, name := range names {
			if w.disk.remove(path.Join(dir, name)) != nil {
				return
			}
		}
		if w.disk.remove(dir) != nil {
			return
		}
	}
}
