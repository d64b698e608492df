package redact

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestFind(t *testing.T) {
	t.Parallel()
	r := New([]string{"DEPLOY_TOKEN=hunter2hunter2", "HOME=/home/someone"})
	for text, want := range map[string][]Found{
		"nothing of that kind in /home/someone":                    nil,
		"a hunter2hunter2 b hunter2hunter2":                        {{"DEPLOY_TOKEN", true}},
		"aHVudGVyMmh1bnRlcjI= postgres://u:sesame-open@db/x":       {{"DEPLOY_TOKEN", true}, {kindURLPassword, false}},
		"[redacted:DEPLOY_TOKEN] is what is left of it":            nil,
		"-----BEGIN PRIVATE KEY-----\nMIIBVgIBADANBgkqhkiG9w0BAQE": {{"private-key", false}},
	} {
		assert.DeepEqual(t, r.Find(text), want)
		assert.Equal(t, r.String(text) == text, want == nil, text)
	}
}
