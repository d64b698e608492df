package cases

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The flags that say how much is moved, and the variables with the same meaning.
const (
	FlagRows    = "-rows"
	FlagChanged = "-changed"
	FlagDeleted = "-deleted"
	FlagSeed    = "-seed"

	EnvRows     = "DPONE_MATRIX_ROW_COUNT"
	EnvMockRows = "DPONE_MATRIX_MOCK_ROW_COUNT" // before EnvRows, in the mock modes only
	EnvChanged  = "DPONE_MATRIX_CHANGE_RATIO"
	EnvDeleted  = "DPONE_MATRIX_DELETE_RATIO"
	EnvSeed     = "DPONE_MATRIX_SEED"
	EnvRunMode  = "DPONE_MATRIX_RUN_MODE"
)

// What is moved when nobody says.
const (
	DefaultRows        = 10_000
	DefaultRowsDurable = 25_000 // in real_local
	DefaultChanged     = 0.20
	DefaultDeleted     = 0.05
	DefaultSeed        = 1
)

// Limits of the number of rows.
const (
	// MaxRowsEnv holds for the environment, which one forgets; who types a flag means it.
	MaxRowsEnv = 100_000
	// MaxRows is where shares of a number of rows stop being exact.
	MaxRows = 1 << 53
)

// Volume says how many rows a case moves and how many of them change.
type Volume struct {
	Rows int64 `json:"rows"`
	// Changed and Deleted are shares of Rows, 0 to 1; Deleted is at most Changed.
	Changed float64 `json:"changed"`
	Deleted float64 `json:"deleted"`
	// Seed chooses the values, 0 to 2^63-1, so that a flag can give each of them.
	Seed uint64 `json:"seed"`
}

// DefaultVolume is what is moved when nobody says.
func DefaultVolume() Volume {
	return Volume{Rows: DefaultRows, Changed: DefaultChanged, Deleted: DefaultDeleted, Seed: DefaultSeed}
}

// VolumeFlags are the numbers of the command line; nil means not given.
type VolumeFlags struct {
	Rows             *int
	Changed, Deleted *float64
	Seed             *int
}

// VolumeFrom reads the numbers of the command line, for those that are not given there
// those of the environment, and defaults for the rest. The error holds a
// [*FieldError] for each number that is none or out of its limits.
func VolumeFrom(getenv func(string) string, mode Mode, flags VolumeFlags) (Volume, error) {
	var problems []error
	note := func(err *FieldError) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	v := DefaultVolume()
	if mode == RealLocal {
		v.Rows = DefaultRowsDurable
	}
	rows := EnvRows
	if (mode == MockContract || mode == MockLocal) && getenv(EnvMockRows) != "" {
		rows = EnvMockRows
	}
	var err *FieldError
	v.Rows, err = whole(getenv, FlagRows, rows, flags.Rows, v.Rows, 1, MaxRowsEnv, MaxRows)
	note(err)
	seed, err := whole(getenv, FlagSeed, EnvSeed, flags.Seed, DefaultSeed, 0, math.MaxInt64, math.MaxInt64)
	note(err)
	v.Seed = uint64(seed)

	changed, err := ratio(getenv, FlagChanged, EnvChanged, flags.Changed, DefaultChanged)
	note(err)
	// What changes less than usual deletes no more than that.
	deleted, errDeleted := ratio(getenv, FlagDeleted, EnvDeleted, flags.Deleted, min(DefaultDeleted, changed.value))
	note(errDeleted)
	v.Changed, v.Deleted = changed.value, deleted.value
	if err == nil && errDeleted == nil && deleted.value > changed.value {
		note(&FieldError{
			Field: deleted.field, Value: deleted.text,
			Problem: fmt.Sprintf("is more than the share of changes, %s (%s)", changed.text, changed.field),
			Fix:     fmt.Sprintf("deletes are a part of the changes: give %s from 0 to %s", FlagDeleted, changed.text),
		})
	}
	if err := errors.Join(problems...); err != nil {
		return Volume{}, err
	}
	return v, nil
}

// byDefault stands for the field of a value that nobody gave.
const byDefault = "by default"

// whole reads a whole number from least to most, which is mostEnv in the environment.
func whole(getenv func(string) string, flag, env string, given *int, otherwise, least, mostEnv, most int64) (int64, *FieldError) {
	field, text := flag, ""
	switch {
	case given != nil:
		text = strconv.Itoa(*given)
	case getenv(env) != "":
		field, text, most = env, getenv(env), mostEnv
	default:
		return otherwise, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	fix := fmt.Sprintf("give %d to %d", least, most)
	if field == env && flag == FlagRows {
		fix += ", or any larger number with " + flag
	}
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return 0, &FieldError{Field: field, Value: text, Problem: "is no whole number", Fix: fix}
	case err != nil || n < least || n > most:
		return 0, &FieldError{Field: field, Value: text, Problem: "is out of its limits", Fix: fix}
	}
	return n, nil
}

// share is a ratio with the place it came from.
type share struct {
	value       float64
	field, text string
}

func ratio(getenv func(string) string, flag, env string, given *float64, otherwise float64) (share, *FieldError) {
	s := share{value: otherwise, field: byDefault}
	var err error
	switch {
	case given != nil:
		s.field, s.value = flag, *given
		s.text = strconv.FormatFloat(*given, 'g', -1, 64)
	case getenv(env) != "":
		s.field, s.text = env, getenv(env)
		s.value, err = strconv.ParseFloat(strings.TrimSpace(s.text), 64)
	default:
		s.text = strconv.FormatFloat(otherwise, 'g', -1, 64)
	}
	const fix = "give a share from 0 to 1"
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return s, &FieldError{Field: s.field, Value: s.text, Problem: "is no number", Fix: fix}
	case err != nil || !(s.value >= 0 && s.value <= 1): // NaN is in no range
		return s, &FieldError{Field: s.field, Value: s.text, Problem: "is out of its limits", Fix: fix}
	}
	s.value += 0 // -0 becomes 0, which is what everybody else writes
	return s, nil
}

// ModeFrom gives the mode that the flag names (nil when not given), else the one of
// the environment, else otherwise. The error is a [*FieldError].
func ModeFrom(getenv func(string) string, flag *string, otherwise Mode) (Mode, error) {
	field, text := "-mode", ""
	switch {
	case flag != nil:
		text = *flag
	case getenv(EnvRunMode) != "":
		field, text = EnvRunMode, getenv(EnvRunMode)
	default:
		return otherwise, nil
	}
	m := Mode(strings.TrimSpace(text))
	if !slices.Contains(Modes(), m) {
		var names []string
		for _, known := range Modes() {
			names = append(names, string(known))
		}
		return "", unknown(field, text, "mode", "", names)
	}
	return m, nil
}
