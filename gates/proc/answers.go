package proc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
)

// Answers reads what a program printed, a value of JSON a line, at most as many
// bytes as the caller took from it. What was read before a line that is none is returned
// with the error.
func Answers[T any](out []byte) (answers []T, err error) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, max(len(out), 1)+1)
	for lines.Scan() {
		var a T
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return answers, fmt.Errorf("the answer of the program: %w", err)
		}
		answers = append(answers, a)
	}
	return answers, lines.Err()
}
