package cases

import (
	"fmt"
	"strings"

	"github.com/dpone/dpone/engine/spelling"
)

// FieldError says what is wrong with one value that was given on the command line or in the environment.
type FieldError struct {
	// Field is the flag, for example "-rows", or the variable.
	Field string
	// Value is what was given.
	Value string
	// Problem says what is wrong with it, and Fix what would be right.
	Problem, Fix string
}

func (e *FieldError) Error() string {
	// A value of hostile length must not push the rest of the message off the screen.
	return fmt.Sprintf("%s: %.80q %s; %s", e.Field, e.Value, e.Problem, e.Fix)
}

// shortList is how many names a message lists.
const shortList = 12

// unknown says that a value is none of the names: kind is what they are, list the command that shows them all.
func unknown(field, value, kind, list string, names []string) *FieldError {
	var fix []string
	near := spelling.Nearest(value, names, min(max(1, len(value)/3)+1, len(value))) // within a third of its length in edits
	if near != "" {
		fix = append(fix, fmt.Sprintf("did you mean %q?", near))
	}
	switch {
	case len(names) == 0:
		fix = append(fix, "there is none")
	case len(names) <= shortList:
		fix = append(fix, "known are "+strings.Join(names, ", "))
	default:
		fix = append(fix, fmt.Sprintf("%s shows all %d", list, len(names)))
	}
	return &FieldError{Field: field, Value: value, Problem: "is no " + kind, Fix: strings.Join(fix, " ")}
}
