package redact

import "slices"

// Found is a secret in a text: which one, never what it is.
type Found struct {
	// Label is the name of the variable whose value it is, or the kind of what
	// it looks like.
	Label string
	// Value says that it is the value of a variable; otherwise it only looks
	// like a secret.
	Value bool
}

// Find tells the secrets of s, each once, in the order of their first places. A
// text in which Find finds nothing is one that [Redactor.String] leaves as it is.
func (r *Redactor) Find(s string) []Found {
	spans, _ := r.find(s)
	var all []Found
	for _, sp := range spans {
		if f := (Found{sp.label, sp.literal}); !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}
