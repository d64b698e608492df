package keyless

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// The most entries and timestamps that a bundle may have. One of each is usual.
const (
	maxEntries = 8
	maxStamps  = 8
)

// blob is bytes in base64 of RFC 4648 section 4, in the one spelling that an
// encoder writes.
type blob []byte

// UnmarshalText refuses any other spelling.
func (b *blob) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || bytes.ContainsAny(text, "\r\n") || len(raw) == 0 {
		return errors.New("not base64, or empty")
	}
	*b = raw
	return nil
}

// decimal is a number of 64 bits as protobuf writes it: digits in a string.
type decimal int64

// UnmarshalText refuses signs, spaces and leading zeros.
func (d *decimal) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != string(text) {
		return errors.New("not a number")
	}
	*d = decimal(n)
	return nil
}

// logEntry is an entry of a transparency log (sigstore_rekor.proto).
type logEntry struct {
	LogIndex          decimal           `json:"logIndex"`
	LogID             logID             `json:"logId"`
	KindVersion       kindVersion       `json:"kindVersion"`
	IntegratedTime    decimal           `json:"integratedTime"`
	InclusionPromise  *inclusionPromise `json:"inclusionPromise"`
	InclusionProof    *inclusionProof   `json:"inclusionProof"`
	CanonicalizedBody blob              `json:"canonicalizedBody"`
}

type logID struct {
	KeyID blob `json:"keyId"`
}

type kindVersion struct {
	Kind    string `json:"kind"`
	Version string `json:"version"`
}

type inclusionPromise struct {
	SignedEntryTimestamp blob `json:"signedEntryTimestamp"`
}

type inclusionProof struct {
	LogIndex   decimal    `json:"logIndex"`
	RootHash   blob       `json:"rootHash"`
	TreeSize   decimal    `json:"treeSize"`
	Hashes     []blob     `json:"hashes" limit:"64"`
	Checkpoint checkpoint `json:"checkpoint"`
}

type checkpoint struct {
	Envelope string `json:"envelope"`
}

type stampData struct {
	Stamps []struct {
		SignedTimestamp blob `json:"signedTimestamp"`
	} `json:"rfc3161Timestamps" limit:"8"`
}

// The decoders hold no state and are never changed.
var (
	entryLists = strict.NewDecoder[[]logEntry](strict.Limits{Bytes: sign.MaxBundle, Depth: 8, Values: 4096})
	stampLists = strict.NewDecoder[stampData](strict.Limits{Bytes: 1 << 20, Depth: 4, Values: 64})
)

// opened is a bundle of which the form is known to be right, and nothing else.
type opened struct {
	payload []byte
	leaf    *x509.Certificate
	entries []logEntry
	stamps  int
}

// open reads a bundle with a certificate strictly. What the libraries read
// leniently or skip is looked at here: names in any case or with underscores,
// numbers as numbers, other spellings of base64, the kind of an entry.
func open(raw []byte) (*opened, error) {
	b, err := sign.DecodeBundle(raw)
	if err != nil {
		return nil, err
	}
	m := &b.VerificationMaterial
	if m.Certificate == nil {
		return nil, strict.Refuse(sign.UnsupportedMaterial, "verificationMaterial.publicKey", "signed with a key, which is not verified with a certificate")
	}
	o := &opened{}
	if o.payload, err = b.Payload(); err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.DecodeString(m.Certificate.RawBytes)
	if err == nil {
		o.leaf, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, strict.Refuse(sign.Schema, "verificationMaterial.certificate", "not a certificate: %s", strict.Quote(err.Error()))
	}
	if len(m.TlogEntries) > 0 {
		const field = "verificationMaterial.tlogEntries"
		if o.entries, err = entryLists.Decode(m.TlogEntries); err != nil {
			return nil, within(field, err)
		}
		if len(o.entries) > maxEntries {
			return nil, strict.Refuse(sign.LimitExceeded, field, "%d entries, at most %d", len(o.entries), maxEntries)
		}
		for i := range o.entries {
			if err := o.entries[i].validate(); err != nil {
				return nil, within(fmt.Sprintf("%s[%d]", field, i), err)
			}
		}
	}
	if len(m.TimestampVerificationData) > 0 {
		const field = "verificationMaterial.timestampVerificationData"
		data, err := stampLists.Decode(m.TimestampVerificationData)
		if err != nil {
			return nil, within(field, err)
		}
		for i, stamp := range data.Stamps {
			if len(stamp.SignedTimestamp) == 0 {
				return nil, strict.Refuse(sign.Schema, fmt.Sprintf("%s.rfc3161Timestamps[%d]", field, i), "it is empty")
			}
		}
		o.stamps = len(data.Stamps)
	}
	return o, nil
}

// validate holds what a reader of the entry takes for granted.
func (e *logEntry) validate() error {
	var body struct {
		Kind       string          `json:"kind"`
		APIVersion string          `json:"apiVersion"`
		Spec       json.RawMessage `json:"spec"`
	}
	switch {
	case len(e.LogID.KeyID) != sha256.Size:
		return strict.Refuse(sign.Schema, "logId", "it is not the SHA-256 of a key")
	case len(e.CanonicalizedBody) == 0:
		return strict.Refuse(sign.LogMissing, "canonicalizedBody", "there is no entry")
	case e.InclusionProof == nil:
		return strict.Refuse(sign.LogMissing, "inclusionProof", "there is no proof that the log has the entry")
	case json.Unmarshal(e.CanonicalizedBody, &body) != nil:
		return strict.Refuse(sign.Schema, "canonicalizedBody", "it is not JSON")
	// The libraries compare the kind with itself.
	case body.Kind != e.KindVersion.Kind || body.APIVersion != e.KindVersion.Version:
		return strict.Refuse(sign.LogMismatch, "kindVersion", "%s of version %s, and the entry is %s of version %s",
			strict.Quote(e.KindVersion.Kind), strict.Quote(e.KindVersion.Version), strict.Quote(body.Kind), strict.Quote(body.APIVersion))
	}
	p := e.InclusionProof
	lines := strings.SplitN(p.Checkpoint.Envelope, "\n", 4)
	if len(lines) < 4 {
		return strict.Refuse(sign.Schema, "inclusionProof.checkpoint", "it is not a checkpoint")
	}
	// And they look at the signed root alone, not at the signed size.
	if lines[1] != strconv.FormatInt(int64(p.TreeSize), 10) || lines[2] != base64.StdEncoding.EncodeToString(p.RootHash) {
		return strict.Refuse(sign.LogMismatch, "inclusionProof.checkpoint", "it is of another tree than the proof")
	}
	signers, ok := signersOf(p.Checkpoint.Envelope)
	if !ok {
		return strict.Refuse(sign.Schema, "inclusionProof.checkpoint", "it is not a signed note")
	}
	// Nor, in version 1, at who is said to have signed it.
	if host, _, ok := strings.Cut(lines[0], " - "); ok && (len(signers) != 1 || signers[0] != host) {
		return strict.Refuse(sign.LogMismatch, "inclusionProof.checkpoint", "it is not signed by the log %s alone", strict.Quote(host))
	}
	if p.LogIndex >= p.TreeSize {
		return strict.Refuse(sign.LogMismatch, "inclusionProof.logIndex", "%d is not in a tree of %d", p.LogIndex, p.TreeSize)
	}
	return nil
}

// signersOf is the names of who signed a note (C2SP signed-note): below the
// text and an empty line, each signature has a line with a dash, a name, and
// base64. ok is false for what is no note, and for other spellings of base64.
func signersOf(note string) (names []string, ok bool) {
	at := strings.LastIndex(note, "\n\n")
	if at < 0 || !strings.HasSuffix(note, "\n") {
		return nil, false
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(note[at+2:], "\n"), "\n") {
		words := strings.Split(line, " ")
		if len(words) != 3 || words[0] != "\u2014" || new(blob).UnmarshalText([]byte(words[2])) != nil {
			return nil, false
		}
		names = append(names, words[1])
	}
	return names, len(names) > 0
}

// within puts the place of a refusal inside another.
func within(field string, err error) error {
	var refusal *strict.Error
	if !errors.As(err, &refusal) {
		return err
	}
	inner := *refusal
	switch {
	case inner.Field == "":
		inner.Field = field
	case strings.HasPrefix(inner.Field, "["):
		inner.Field = field + inner.Field
	default:
		inner.Field = field + "." + inner.Field
	}
	return &inner
}
