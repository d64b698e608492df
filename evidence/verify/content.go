package verify

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/dpone/dpone/evidence/sign"
)

// signerKey begins the signer key of a log, which is secret.
var signerKey = []byte("PRIVATE+KEY+")

// judgeContent searches one file for secrets, and an XML file for what is more
// than data.
func (p *pass) judgeContent(name string, raw []byte) []Problem {
	var problems []Problem
	text := raw
	switch {
	case strings.HasSuffix(name, ".xml"):
		inside, err := textOfXML(raw)
		if err != nil {
			problems = append(problems, Problem{Code: CodeXML, Path: name, Detail: err.Error()})
		} else {
			text = inside
		}
	case strings.HasSuffix(name, sign.BundleSuffix):
		if b, err := sign.DecodeBundle(raw); err == nil {
			if payload, err := b.Payload(); err == nil {
				text = payload // in base64 a secret does not look like itself
			}
		}
	}
	if bytes.Contains(text, signerKey) {
		problems = append(problems, Problem{Code: CodeSecretLeak, Path: name, Detail: "the signer key of a log"})
	} else if found := p.leak(name, text); found != "" {
		problems = append(problems, Problem{Code: CodeSecretLeak, Path: name, Detail: found})
	}
	return problems
}

// leak says where the first secret is and of which kind, never what it is;
// empty when there is none. Text is searched as it was before it was escaped for
// its format: that is how it was redacted, and escapes can look like anything.
func (p *pass) leak(name string, text []byte) string {
	var masked []byte
	err := errors.ErrUnsupported
	if strings.Contains(path.Ext(name), "json") || strings.HasSuffix(name, ".sarif") {
		masked, err = p.redactor.JSON(text)
	}
	if err != nil {
		masked = p.redactor.Bytes(text)
	}
	if bytes.Equal(masked, text) {
		return ""
	}
	at := 0
	for at < len(masked) && at < len(text) && masked[at] == text[at] {
		at++
	}
	const marker = "[redacted:"
	// The common beginning may run into the marker, when the secret begins as it does.
	from := bytes.LastIndex(masked[:min(len(masked), at+len(marker))], []byte(marker))
	kind := "secret"
	if from >= 0 {
		if label, _, ok := strings.Cut(string(masked[from+len(marker):min(len(masked), from+128)]), "]"); ok {
			kind = label
		}
	}
	if strings.HasSuffix(name, ".xml") {
		return kind // the lines are those of the text inside
	}
	return fmt.Sprintf("line %d: %s", 1+bytes.Count(text[:at], []byte("\n")), kind)
}

// textOfXML is the text of a document, of its attributes and between its tags,
// without the escapes. It refuses a document type, which can hold entities that
// expand without end or name files elsewhere; processing instructions, which a
// browser obeys; and what is not XML, control characters among it.
func textOfXML(raw []byte) ([]byte, error) {
	dec := xml.NewDecoder(bytes.NewReader(raw))
	dec.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("the encoding %q", charset)
	}
	text := make([]byte, 0, len(raw))
	for {
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, errors.New("a document type, which can hold entities")
		case xml.ProcInst:
			if t.Target != "xml" {
				return nil, errors.New("a processing instruction")
			}
		case xml.StartElement:
			for _, a := range t.Attr {
				text = append(append(text, a.Value...), '\n')
			}
		case xml.CharData:
			text = append(append(text, t...), '\n')
		case xml.Comment:
			text = append(append(text, t...), '\n')
		}
	}
}
