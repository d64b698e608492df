// Package reader is the one way in which a record comes back from disk: from
// a sealed folder, out of bytes that its index speaks of, with every verdict
// in it derived again. No other package decodes a record; a test of package
// verify holds that.
//
// Who made the folder is not judged here, that is for package verify: a record
// that [Open] returns is whole and consistent, and may still be anybody's.
package reader

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/seal"
)

// CodeRecord is the problem of a record that is not what a run writes.
const CodeRecord seal.Code = "bad_record"

// attestations is the folder of package attest, which is not imported: whoever
// reads a record needs none of what signing needs.
const attestations = "attestations/"

// Run is a run folder whose files are as they were sealed.
type Run struct {
	// Record is nil for a folder that never had one, where Options allow that.
	Record *evidence.Record
	// RecordSHA256 is the digest of record.json, in lower-case hex.
	RecordSHA256 string
	// Index lists the files; each was found to be as it says.
	Index seal.Index
	// Files and Bytes count what was read.
	Files int
	Bytes int64

	root *os.Root
}

// Options say what to expect.
type Options struct {
	// Seal are the options of the check of the files. Outside is what speaks
	// about the index; that of a run folder (package attest) if not given.
	Seal seal.Options
	// NoRecord takes a folder without a record.
	NoRecord bool
}

// Open verifies a folder, every byte of it, and reads its record. An error is
// a [*seal.Error] with all problems; the run that comes with it has the index
// as far as that could be read, and nothing to believe. Close the run, which
// holds the folder open.
func Open(ctx context.Context, dir string, opts Options) (*Run, error) {
	if opts.Seal.Outside == nil {
		opts.Seal.Outside = []string{attestations}
	}
	found := seal.Verify(ctx, dir, opts.Seal)
	run := &Run{Index: found.Index, Files: found.Files, Bytes: found.Bytes}
	if !found.OK() {
		return run, found.Err()
	}
	return run, run.open(dir, opts)
}

// Reopen is Open for a folder of which the caller has verified every file
// against the index already.
func Reopen(dir string, index seal.Index) (*Run, error) {
	run := &Run{Index: index}
	return run, run.open(dir, Options{})
}

func (r *Run) open(dir string, opts Options) error {
	refuse := func(code seal.Code, format string, args ...any) error {
		return &seal.Error{Op: "read the record of", Root: dir, Problems: []seal.Problem{{Code: code, Path: folder.RecordJSON, Detail: fmt.Sprintf(format, args...)}}}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &seal.Error{Op: "read", Root: dir, Cause: err}
	}
	r.root = root
	entry, ok := r.Index.Find(folder.RecordJSON)
	if !ok {
		if opts.NoRecord {
			return nil
		}
		return refuse(seal.CodeMissing, "the index lists no record")
	}
	raw, err := r.ReadFile(folder.RecordJSON, evidence.MaxRecord)
	if err != nil {
		var problem *seal.Error
		if errors.As(err, &problem) {
			return err
		}
		return refuse(CodeRecord, "%v", err)
	}
	record, err := evidence.Decode(raw)
	if err != nil {
		return refuse(CodeRecord, "%v", err)
	}
	r.Record, r.RecordSHA256 = record, entry.SHA256
	return nil
}

// ReadFile returns a file of the folder, of at most limit bytes. The bytes are
// those of the index, or there is an error: what changed since the folder was
// verified is found.
func (r *Run) ReadFile(name string, limit int64) ([]byte, error) {
	entry, ok := r.Index.Find(name)
	if !ok {
		return nil, r.problem(seal.CodeUnlisted, name, "the index does not list the file")
	}
	if entry.Size > limit {
		return nil, r.problem(seal.CodeLimit, name, fmt.Sprintf("%d bytes, at most %d are read", entry.Size, limit))
	}
	raw, err := folder.ReadRegular(r.root, name, entry.Size)
	if errors.Is(err, folder.ErrTooLarge) {
		return nil, r.problem(seal.CodeSizeMismatch, name, fmt.Sprintf("more than the %d bytes of the index", entry.Size))
	}
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != entry.SHA256 {
		return nil, r.problem(seal.CodeDigestMismatch, name, "not the bytes of the index")
	}
	return raw, nil
}

// Copy writes a file of the folder to w, of any size. It says at the end
// whether the bytes were those of the index; before that, they are not to be believed.
func (r *Run) Copy(w io.Writer, name string) error {
	entry, ok := r.Index.Find(name)
	if !ok {
		return r.problem(seal.CodeUnlisted, name, "the index does not list the file")
	}
	info, err := r.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return r.problem(seal.CodeNotRegular, name, "not a regular file")
	}
	file, err := r.root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(hash, w), io.LimitReader(file, entry.Size+1))
	if err != nil {
		return err
	}
	if n != entry.Size || hex.EncodeToString(hash.Sum(nil)) != entry.SHA256 {
		return r.problem(seal.CodeDigestMismatch, name, "not the bytes of the index")
	}
	return nil
}

func (r *Run) problem(code seal.Code, name, detail string) error {
	return &seal.Error{Op: "read", Root: r.root.Name(), Problems: []seal.Problem{{Code: code, Path: name, Detail: detail}}}
}

// Close lets the folder go.
func (r *Run) Close() error {
	if r.root == nil {
		return nil
	}
	return r.root.Close()
}

// letGo closes what was only read.
func letGo(c io.Closer) { c.Close() }

// Embedded reads a record that stands inside another document, such as an
// event of a stream, and derives it again. The caller has to hold that the
// document is byte for byte what its writer writes, since the white space and
// the escapes of a record in there are the document's. null is no record.
func Embedded(raw json.RawMessage) (*evidence.Record, error) {
	if len(raw) > evidence.MaxRecord {
		return nil, fmt.Errorf("record: %d bytes, more than the limit of %d", len(raw), evidence.MaxRecord)
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var record evidence.Record
	if err := dec.Decode(&record); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if err := record.Validate(); err != nil {
		return nil, err
	}
	return &record, nil
}

// File reads a record from its file, or from the folder of its run. Where an
// index lies beside it, the whole folder is verified as [Open] does it, and
// sealed is true. A record without an index is read too: it is consistent, and
// nothing holds it in place.
func File(ctx context.Context, path string) (record *evidence.Record, sealed bool, err error) {
	dir, name := filepath.Dir(path), filepath.Base(path)
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if info.IsDir() {
		dir, name = path, folder.RecordJSON
	}
	switch _, err := os.Lstat(filepath.Join(dir, folder.IndexJSON)); {
	case err == nil:
		run, err := Open(ctx, dir, Options{NoRecord: name != folder.RecordJSON})
		defer letGo(run)
		if err != nil || name == folder.RecordJSON {
			return run.Record, true, err
		}
		raw, err := run.ReadFile(name, evidence.MaxRecord)
		if err != nil {
			return nil, true, err
		}
		record, err := evidence.Decode(raw)
		return record, true, err
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, err
	}
	raw, err := folder.ReadIn(dir, name, evidence.MaxRecord)
	if err != nil {
		return nil, false, err
	}
	record, err = evidence.Decode(raw)
	return record, false, err
}
