package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/dataset"
)

// publish makes next the manifest of the folder. committed is true from the moment
// when the manifest has its name, also when an error follows.
func (t *tx) publish(next *dataset.Manifest, window string, add, remove []string) (committed bool, err error) {
	data, err := next.Encode()
	if err != nil {
		return false, err
	}
	intent := dataset.Intent{
		Version: dataset.Version, Load: next.Load, Pipeline: t.load.Pipeline, Window: window,
		Add: notNil(add), Remove: notNil(remove),
	}
	intentData, err := json.Marshal(intent)
	if err != nil {
		return false, err
	}
	if err := t.replace(dataset.Intents, append(intentData, '\n'), nil); err != nil {
		return false, err
	}
	if err := t.s.did("intent"); err != nil {
		return false, err
	}
	for _, p := range add {
		if err := t.root.Rename(t.staged(p), filepath.FromSlash(p)); err != nil {
			return false, err
		}
		if err := t.s.did("move"); err != nil {
			return false, err
		}
	}
	if len(add) > 0 {
		if err := syncDir(filepath.Join(t.s.dir, dataset.Data)); err != nil {
			return false, err
		}
	}
	if err := t.s.did("data"); err != nil {
		return false, err
	}
	err = t.replace(dataset.Name, data, func() error {
		committed = true
		return t.s.did("manifest")
	})
	return committed, err
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// replace writes a file beside its name, flushes it, renames it and flushes the
// folder. renamed is called between the last two.
func (t *tx) replace(name string, data []byte, renamed func() error) error {
	f, err := t.root.OpenFile(tmpName(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := t.s.did(tmpName(name)); err != nil {
		return err
	}
	if err := t.root.Rename(tmpName(name), name); err != nil {
		return err
	}
	if renamed != nil {
		if err := renamed(); err != nil {
			return err
		}
	}
	return syncDir(t.s.dir)
}

// clean removes what is not current any more. The next load does it when this fails.
func (t *tx) clean(remove []string) error {
	for _, p := range remove {
		if err := t.remove(filepath.FromSlash(p)); err != nil {
			return err
		}
		if err := t.s.did("remove"); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if err := syncDir(filepath.Join(t.s.dir, dataset.Data)); err != nil {
			return err
		}
	}
	if err := t.remove(dataset.Intents); err != nil {
		return err
	}
	if err := t.s.did("clean"); err != nil {
		return err
	}
	return t.root.RemoveAll(dataset.Staging)
}

func (t *tx) remove(name string) error {
	err := t.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// recover brings the folder to the state before or after the load that crashed in
// it: after, when the manifest is that load's, and before in every other case.
func (t *tx) recover(m *dataset.Manifest) error {
	data, err := readSmall(t.root, dataset.Intents)
	if err == nil {
		intent, err := dataset.DecodeIntent(data)
		if err != nil {
			return connector.Fail("target.intent", err, "%s is not an intent of a load", filepath.Join(t.s.dir, dataset.Intents))
		}
		current := make(map[string]bool)
		if m != nil {
			for i := range m.Files {
				current[m.Files[i].Path] = true
			}
		}
		leave := intent.Add
		if m != nil && m.Load == intent.Load {
			leave = intent.Remove
		}
		for _, p := range leave {
			if current[p] {
				return connector.Fail("target.intent", nil, "%s would remove %q, which %s names; look at the folder before a further load", dataset.Intents, p, dataset.Name)
			}
			if err := t.remove(filepath.FromSlash(p)); err != nil {
				return err
			}
		}
		if err := t.remove(dataset.Intents); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(
		t.remove(tmpName(dataset.Name)), t.remove(tmpName(dataset.Intents)), t.root.RemoveAll(dataset.Staging),
	)
}

// staged is where a file of the load is before it is published.
func (t *tx) staged(p string) string {
	return filepath.Join(dataset.Staging, t.id, path.Base(p))
}

// begin cleans up, reads what is published and makes the load's own folder.
func (t *tx) begin() error {
	var err error
	if t.old, err = readManifest(t.root); err != nil {
		return err
	}
	if err := t.recover(t.old); err != nil {
		return err
	}
	if t.id, err = newLoad(); err != nil {
		return err
	}
	if t.old == nil {
		t.old = &dataset.Manifest{Version: dataset.Version}
	}
	if t.columns, err = dataset.Schema(t.old.Columns); err != nil {
		return err
	}
	t.key = t.old.Key
	t.pending = make(map[string]bool)
	t.next = t.old.Files
	for _, dir := range []string{dataset.Data, filepath.Join(dataset.Staging, t.id)} {
		if err := t.root.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("making the folder %s: %w", dir, err)
		}
	}
	return nil
}
