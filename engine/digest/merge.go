package digest

import "errors"

// Spec gives the builder's specification.
func (b *Builder) Spec() Spec { return b.spec }

// Merge adds the rows of a digest of the same specification.
func (b *Builder) Merge(d Digest) error {
	if d.Spec != b.spec.Hash() || len(d.Buckets) != len(b.buckets) {
		return errors.New("digest: the digests have different specifications")
	}
	b.rows += d.Rows
	for i := range d.Buckets {
		b.buckets[i].Add(d.Buckets[i])
	}
	return nil
}
