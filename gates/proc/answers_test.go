package proc_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/proc"
)

// answer is a line of a program.
type answer struct {
	Case    string           `json:"case_id"`
	Verdict evidence.Verdict `json:"verdict"`
	Problem string           `json:"problem"`
}

func TestAnswers(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	answers, err := proc.Answers[answer]([]byte(`{"case_id":"a","verdict":"PASS"}` + "\n" + `{"case_id":"b","verdict":"FAIL","problem":"` + long + `"}`))
	assert.NilError(t, err)
	assert.Equal(t, len(answers), 2)
	assert.Equal(t, answers[0].Verdict, evidence.Pass)
	assert.Equal(t, answers[1].Problem, long)

	answers, err = proc.Answers[answer]([]byte("{\"case_id\":\"a\"}\nhello\n"))
	assert.ErrorContains(t, err, "the answer of the program")
	assert.Equal(t, len(answers), 1, "what was said before counts")
	_, err = proc.Answers[answer]([]byte(`{"case_id":"a","verdict":"SUPER"}`))
	assert.Assert(t, err != nil)
	answers, err = proc.Answers[answer](nil)
	assert.NilError(t, err)
	assert.Equal(t, len(answers), 0)
}
