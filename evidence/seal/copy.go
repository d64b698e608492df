package seal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Copy takes a copy of a sealed directory below dst and returns its path. The
// copy is named after its content, <dst>/<SHA-256 of index.json>/, and holds
// index.json and the files it lists, each written from the very bytes that
// were hashed and found to be what the index says: a file that is changed or
// swapped while it is copied is refused, and one that is changed in root
// afterwards changes nothing. The files of the copy cannot be written to by
// accident (mode 0444). [Options].Outside are not copied: what speaks about an
// index is added by whoever made it.
//
// The copy appears whole or not at all. One that is there already is verified
// and returned. Errors are an [*Error] with all problems.
func Copy(ctx context.Context, root, dst string, opts Options) (string, error) {
	fail := func(cause error, problems []Problem) (string, error) {
		return "", &Error{Op: "copy", Root: root, Problems: problems, Cause: cause}
	}
	if err := apart(root, dst); err != nil {
		return fail(err, nil)
	}
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return fail(err, nil)
	}
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return fail(err, nil)
	}
	tmp := filepath.Join(dst, ".tmp-"+hex.EncodeToString(salt[:]))
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return fail(err, nil)
	}
	defer os.RemoveAll(tmp)
	into, err := os.OpenRoot(tmp)
	if err != nil {
		return fail(err, nil)
	}
	defer into.Close()
	result := verify(ctx, root, opts, &stage{root: into})
	if !result.OK() {
		return fail(ctx.Err(), result.Problems)
	}
	final := filepath.Join(dst, result.Index.SHA256)
	err = os.Rename(tmp, final)
	if err == nil {
		return final, nil
	}
	if _, statErr := os.Lstat(final); statErr != nil {
		return fail(err, nil)
	}
	there := opts
	there.IndexSHA256, there.Outside = result.Index.SHA256, nil
	if before := Verify(ctx, final, there); !before.OK() {
		return fail(fmt.Errorf("%s is there already and is not what its name says; remove it", final), before.Problems)
	}
	return final, nil
}

// apart refuses a copy into the directory that is copied.
func apart(root, dst string) error {
	from, err := filepath.Abs(root)
	if err == nil {
		from, err = filepath.EvalSymlinks(from)
	}
	if err != nil {
		return err
	}
	to, err := resolve(dst)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(from, to)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%s lies in the directory that is to be copied", dst)
	}
	return nil
}

// resolve follows the links of a path, of which the end need not exist yet.
func resolve(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		real, err := filepath.EvalSymlinks(abs)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		parent := filepath.Dir(abs)
		if !errors.Is(err, fs.ErrNotExist) || parent == abs {
			return "", err
		}
		rest = filepath.Join(filepath.Base(abs), rest)
		abs = parent
	}
}

// stage is where a copy grows.
type stage struct{ root *os.Root }

// write writes a file of the copy from memory.
func (s *stage) write(name string, content []byte) error {
	file, err := s.create(name)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// copy writes a file of the copy while it is hashed.
func (s *stage) copy(ctx context.Context, d *digester, name string, size int64, from io.Reader) (string, *Problem) {
	file, err := s.create(name)
	if err != nil {
		return "", &Problem{CodeUnreadable, name, "copy: " + reason(err)}
	}
	sum, problem := d.digest(ctx, name, size, from, file)
	if err := file.Close(); err != nil && problem == nil {
		problem = &Problem{CodeUnreadable, name, "copy: " + reason(err)}
	}
	return sum, problem
}

func (s *stage) create(name string) (*os.File, error) {
	if dir := path.Dir(name); dir != "." {
		if err := s.root.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	return s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
}
