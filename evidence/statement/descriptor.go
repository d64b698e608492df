package statement

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// ResourceDescriptor names a thing, by content, by address, or both (in-toto
// spec v1, resource_descriptor). One of URI, Digest and Content is there.
type ResourceDescriptor struct {
	Name   string    `json:"name,omitempty"`
	URI    string    `json:"uri,omitempty"`
	Digest DigestSet `json:"digest,omitempty" limit:"32"`
	// Content is the thing itself, in base64.
	Content          string                     `json:"content,omitempty"`
	DownloadLocation string                     `json:"downloadLocation,omitempty"`
	MediaType        string                     `json:"mediaType,omitempty"`
	Annotations      map[string]json.RawMessage `json:"annotations,omitempty" limit:"64"`
}

// DigestSet holds digests of one thing by algorithm: sha256, sha512,
// gitCommit, dirHash1 and so on, in lower-case hex.
//
// The digest of a directory is dirHash1, the directory hash of Go modules
// (golang.org/x/mod/sumdb/dirhash.Hash1) in hex; the in-toto text has both
// that name and "dirHash".
type DigestSet map[string]string

// digestLength is the number of hex digits of the algorithms that are known;
// the names of git take SHA-1 or SHA-256.
func digestLength(algorithm string) []int {
	switch algorithm {
	case "sha256", "sha512_256", "sha3_256", "dirHash", "dirHash1":
		return []int{64}
	case "sha512", "sha3_512":
		return []int{128}
	case "sha384", "sha3_384":
		return []int{96}
	case "sha224", "sha512_224", "sha3_224":
		return []int{56}
	case "sha1":
		return []int{40}
	case "md5":
		return []int{32}
	case "gitCommit", "gitTree", "gitBlob", "gitTag":
		return []int{40, 64}
	}
	return nil
}

func (d DigestSet) validate(field string) error {
	if len(d) > MaxDigests {
		return strict.Refuse(strict.LimitExceeded, field, "%d digests, at most %d", len(d), MaxDigests)
	}
	for _, algorithm := range slices.Sorted(maps.Keys(d)) {
		if err := word(field, algorithm, true); err != nil {
			return err
		}
		value := d[algorithm]
		place := field + "." + algorithm
		switch known := digestLength(algorithm); {
		case !isHex(value):
			return strict.Refuse(strict.Schema, place, "%s is not lower-case hex", strict.Quote(value))
		case known != nil && !slices.Contains(known, len(value)):
			return strict.Refuse(strict.Schema, place, "%d hex digits, wanted %d", len(value), known[0])
		case len(value)%2 != 0 || len(value) > 256:
			return strict.Refuse(strict.Schema, place, "%d hex digits", len(value))
		}
	}
	return nil
}

func isHex(text string) bool {
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return text != ""
}

func (d *ResourceDescriptor) validate(field string) error {
	for _, part := range []struct{ name, text string }{
		{"name", d.Name},
		{"uri", d.URI},
		{"downloadLocation", d.DownloadLocation},
		{"mediaType", d.MediaType},
	} {
		if err := word(field+"."+part.name, part.text, false); err != nil {
			return err
		}
	}
	if d.Content != "" {
		if _, err := base64.StdEncoding.Strict().DecodeString(d.Content); err != nil || strings.ContainsAny(d.Content, "\r\n") {
			return strict.Refuse(strict.Schema, field+".content", "not base64")
		}
	}
	if d.URI == "" && len(d.Digest) == 0 && d.Content == "" {
		return strict.Refuse(strict.Schema, field, "neither uri nor digest nor content")
	}
	return d.Digest.validate(field + ".digest")
}

func validateAll(field string, list []ResourceDescriptor, digests bool) error {
	for i := range list {
		place := fmt.Sprintf("%s[%d]", field, i)
		if err := list[i].validate(place); err != nil {
			return err
		}
		if digests && len(list[i].Digest) == 0 {
			return strict.Refuse(strict.Schema, place+".digest", "no digest")
		}
	}
	return nil
}

// word refuses text that is no name or address: too long, broken, or with
// control characters, which would lie to a reader at a terminal.
func word(field, text string, required bool) error {
	const most = 4096
	switch {
	case text == "" && required:
		return strict.Refuse(strict.Schema, field, "it is missing or empty")
	case len(text) > most:
		return strict.Refuse(strict.LimitExceeded, field, "%d bytes, at most %d", len(text), most)
	case !utf8.ValidString(text):
		return strict.Refuse(strict.Schema, field, "not UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		return strict.Refuse(strict.Schema, field, "%s has control characters", strict.Quote(text))
	}
	return nil
}

// Artifact is a file as a subject or a dependency.
func Artifact(file evidence.File) ResourceDescriptor {
	return ResourceDescriptor{Name: file.Path, Digest: DigestSet{"sha256": file.SHA256}}
}

// SourceName is the name of the subject that is the commit.
const SourceName = "source"

// DirtySourceName is the name of the subject that is the difference between
// the commit and the working tree.
const DirtySourceName = "source-difference"

// Source is the source as a subject:
//
//	{"name":"source","digest":{"gitCommit":"..."}}
//
// A working tree that differs from its commit is not that commit, so what was
// found there is never stated of it. The subject is then the difference, by
// the digest that the record has of it:
//
//	{"name":"source-difference","digest":{"sha256":"..."}}
func Source(source evidence.Source) (ResourceDescriptor, error) {
	subject := ResourceDescriptor{Name: SourceName, Digest: DigestSet{"gitCommit": source.Commit}}
	if source.Dirty {
		digest, ok := strings.CutPrefix(source.DirtyDigest, "sha256:")
		if !ok {
			return ResourceDescriptor{}, strict.Refuse(strict.Schema, "source.dirty_digest", "%s is not sha256: and hex", strict.Quote(source.DirtyDigest))
		}
		subject = ResourceDescriptor{Name: DirtySourceName, Digest: DigestSet{"sha256": digest}}
	}
	if err := subject.validate("source"); err != nil {
		return ResourceDescriptor{}, err
	}
	return subject, nil
}

// subjects are the artifacts and the source of a record. A run that could not
// tell its commit is about its artifacts alone.
func subjects(rec *evidence.Record, artifacts []ResourceDescriptor) ([]ResourceDescriptor, error) {
	if rec.Stable.Source.Commit == "" && !rec.Stable.Source.Dirty {
		return artifacts, nil
	}
	source, err := Source(rec.Stable.Source)
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(artifacts), source), nil
}
