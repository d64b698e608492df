package conformance

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/gates"
)

func digest(artifact string) string {
	sum := sha256.Sum256(content(artifact))
	return hex.EncodeToString(sum[:])
}

// write puts a file into the scratch directory of the step.
func write(p *gates.Pass, name string, raw []byte) error {
	return os.WriteFile(filepath.Join(p.Scratch, name), raw, 0o600)
}

func read(p *gates.Pass, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(p.Scratch, name))
}

// writeArtifacts puts all artifacts there.
func writeArtifacts(p *gates.Pass) error {
	for _, name := range append(artifacts(), stranger) {
		if err := write(p, name, content(name)); err != nil {
			return err
		}
	}
	return nil
}

// change returns a bundle with a change in its JSON.
func change(bundle []byte, f func(doc map[string]any) error) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(bundle, &doc); err != nil {
		return nil, fmt.Errorf("change a bundle: %w", err)
	}
	if err := f(doc); err != nil {
		return nil, fmt.Errorf("change a bundle: %w", err)
	}
	return json.Marshal(doc)
}

func object(doc map[string]any, name string) (map[string]any, error) {
	inner, ok := doc[name].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("there is no object %s", name)
	}
	return inner, nil
}

// editPayload names another artifact in the statement and keeps the signature.
func editPayload(doc map[string]any) error {
	envelope, err := object(doc, "dsseEnvelope")
	if err != nil {
		return err
	}
	text, _ := envelope["payload"].(string)
	payload, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	edited := bytes.ReplaceAll(payload, []byte(artifacts()[1]), []byte("z.txt"))
	if bytes.Equal(edited, payload) {
		return fmt.Errorf("nothing was edited")
	}
	envelope["payload"] = base64.StdEncoding.EncodeToString(edited)
	return nil
}

// signTwice puts the signature there twice.
func signTwice(doc map[string]any) error {
	envelope, err := object(doc, "dsseEnvelope")
	if err != nil {
		return err
	}
	list, ok := envelope["signatures"].([]any)
	if !ok || len(list) != 1 {
		return fmt.Errorf("there is not one signature")
	}
	envelope["signatures"] = append(list, list[0])
	return nil
}

// stripEntry drops the entry of the transparency log.
func stripEntry(doc map[string]any) error {
	m, err := object(doc, "verificationMaterial")
	if err != nil {
		return err
	}
	if m["tlogEntries"] == nil {
		return fmt.Errorf("there is no entry")
	}
	delete(m, "tlogEntries")
	return nil
}

// spliceEntry takes the entry of another bundle.
func spliceEntry(other []byte) func(map[string]any) error {
	return func(doc map[string]any) error {
		var foreign map[string]any
		if err := json.Unmarshal(other, &foreign); err != nil {
			return err
		}
		from, err := object(foreign, "verificationMaterial")
		if err != nil {
			return err
		}
		to, err := object(doc, "verificationMaterial")
		if err != nil {
			return err
		}
		to["tlogEntries"] = from["tlogEntries"]
		return nil
	}
}

// refusedBy turns an error of our own verifiers into an answer: what they say
// has a reason, and one says that nothing was checked.
func refusedBy(err error) error {
	if reason := sign.ReasonOf(err); reason != "" && reason != sign.KeylessUnavailable {
		return &refusal{why: err.Error()}
	}
	return err
}
