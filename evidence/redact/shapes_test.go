package redact

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// Fixtures are put together at run time, lest secret scanners report them.

func github() string { return "ghp_" + strings.Repeat("aB3", 12) }

func jwt() string {
	return "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0." + strings.Repeat("s1-_", 10)
}

func keyLines() []string {
	return []string{
		"-----BEGIN RSA PRIVATE " + "KEY-----",
		strings.Repeat("MIIEow+/", 8),
		strings.Repeat("IBAAKCAQ", 8),
		"q2w3e4r5t6==",
		"-----END RSA PRIVATE " + "KEY-----",
	}
}

func TestShapes(t *testing.T) {
	long := strings.Repeat("aB3", 40)
	jsonKey := strings.Join(keyLines(), `\n`)
	tests := []struct{ text, want string }{
		{"postgres://joe:hunter2@db:5432/x", "postgres://joe:[redacted:url-password]@db:5432/x"},
		{"postgres://joe:p@ss@db/x", "postgres://joe:[redacted:url-password]@db/x"},
		{"redis://:hunter2@db/0", "redis://:[redacted:url-password]@db/0"},
		{`{"url":"https:\/\/joe:hunter2@host\/"}`, `{"url":"https:\/\/joe:[redacted:url-password]@host\/"}`},
		{`{"url":"amqp://joe:a\u0026b@host/"}`, `{"url":"amqp://joe:[redacted:url-password]@host/"}`},
		{"https://" + long + "@host/x", "https://[redacted:url-password]@host/x"},
		{"https://tok3n:@host/x", "https://[redacted:url-password]:@host/x"},
		{"git+https://joe:hunter2@host", "git+https://joe:[redacted:url-password]@host"},
		{"joe:hunter2@tcp(db:3306)/x", "joe:[redacted:url-password]@tcp(db:3306)/x"},
		{"https://a,https://joe:hunter2@b,direct", "https://a,https://joe:[redacted:url-password]@b,direct"},

		{"host=db password=hunter2 dbname=x", "host=db password=[redacted:password] dbname=x"},
		{"Server=db;Uid=joe;Pwd=hunter2;Database=x", "Server=db;Uid=joe;Pwd=[redacted:password];Database=x"},
		{"host=db password='hunter 2' x", "host=db password='[redacted:password]' x"},
		{`Password="hunter; 2";x`, `Password="[redacted:password]";x`},
		{`password = "hunter2"`, `password = "[redacted:password]"`},
		{`{"dsn":"x password=\"hunter 2\" y"}`, `{"dsn":"x password=\"[redacted:password]\" y"}`},
		{`{"dsn":"password=hunter2","x":1}`, `{"dsn":"password=[redacted:password]","x":1}`},
		{`password="a \"b\" c" x`, `password="[redacted:password]" x`},
		{`password="never closed`, `password="[redacted:password] closed`},
		{`{"dsn":"password=\"open","x":"y"}`, `{"dsn":"password=\"[redacted:password]","x":"y"}`},
		{`{"dsn":"password=a\\nb\nnext"}`, `{"dsn":"password=[redacted:password]\nnext"}`},
		{"?user=x&password=hunter2&y=z", "?user=x&password=[redacted:password]&y=z"},
		{"--password=hunter2", "--password=[redacted:password]"},
		{"PGPASSWORD=hunter2 MYSQL_PWD=hunter3", "PGPASSWORD=[redacted:password] MYSQL_PWD=[redacted:password]"},
		{"?access_token=hunter2", "?access_token=[redacted:credential]"},
		{"(user=x, password=hunter2)", "(user=x, password=[redacted:password])"},

		{"Authorization: Bearer abc", "Authorization: Bearer [redacted:authorization]"},
		{"authorization: basic dXNlcjpwYXNz", "authorization: basic [redacted:authorization]"},
		{`-H "Authorization: token abc123"`, `-H "Authorization: token [redacted:authorization]"`},
		{`"Authorization":["Bearer abc123"]`, `"Authorization":["Bearer [redacted:authorization]"]`},
		{`map[Authorization:[Bearer abc123] Accept:[*/*]]`, `map[Authorization:[Bearer [redacted:authorization]] Accept:[*/*]]`},
		{`"Authorization": "Bearer abc123"`, `"Authorization": "Bearer [redacted:authorization]"`},
		{"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n", "Proxy-Authorization: Basic [redacted:authorization]\r\n"},
		{"X-Api-Key: 0123456789abcdef", "X-Api-Key: [redacted:http-credential]"},
		{"using Bearer 0123456789abcdef.", "using Bearer [redacted:bearer-token]."},

		{strings.Join(keyLines(), "\n") + "\nok", "[redacted:private-key]\nok"},
		{strings.Join(keyLines(), "\r\n") + "\r\nok", "[redacted:private-key]\r\nok"},
		{"    " + strings.Join(keyLines(), "\n    ") + "\nok", "    [redacted:private-key]\nok"},
		{"web | " + strings.Join(keyLines(), "\nweb | ") + "\nok", "web | [redacted:private-key]\nok"},
		{`{"k":"` + jsonKey + `\n"}`, `{"k":"[redacted:private-key]\n"}`},
		{`{"k":"` + jsonKey[:80] + `"}`, `{"k":"[redacted:private-key]"}`},
		{"<k>" + strings.Join(keyLines(), "&#xA;") + "</k>", "<k>[redacted:private-key]</k>"},
		{strings.Join(keyLines()[:3], "\n") + "\n--- PASS: TestX", "[redacted:private-key]\n--- PASS: TestX"},
		{strings.Join(keyLines()[:3], "\n"), "[redacted:private-key]"},
		{strings.Join(keyLines()[:3], "\n") + "\n", "[redacted:private-key]\n"},
		{keyLines()[0] + "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n" + strings.Join(keyLines()[1:], "\n"), "[redacted:private-key]"},
		{"-----BEGIN PGP PRIVATE " + "KEY BLOCK-----\n\n" + keyLines()[1] + "\nabcdabcd\n=aB3d\n-----END PGP PRIVATE " + "KEY BLOCK-----.", "[redacted:private-key]."},
		{"key=" + strings.Join(keyLines()[:3], "%0A") + "&x", "key=[redacted:private-key]&x"},
		{`"` + strings.Join(keyLines()[:3], `\r\n  `) + `\nsee"`, `"[redacted:private-key]"`},
		{strings.Join(keyLines()[:2], "\n") + "\nlog (" + keyLines()[4] + ")", "[redacted:private-key]\nlog (" + keyLines()[4] + ")"},
		{`Contains(s, "` + keyLines()[0] + `") in x`, `Contains(s, "[redacted:private-key]") in x`},

		{"x " + github() + ".", "x [redacted:github-token]."},
		{"token" + github(), "token[redacted:github-token]"},
		{"ghs_" + long, "[redacted:github-token]"},
		{"ghs_1234_" + jwt(), "[redacted:github-token]"},
		{"github_pat_" + long[:22] + "_" + long[:59], "[redacted:github-token]"},
		{"glpat-" + long[:20], "[redacted:gitlab-token]"},
		{"AKIA" + strings.Repeat("A7", 8), "[redacted:aws-access-key-id]"},
		{"ASIA" + strings.Repeat("A7", 8) + ",", "[redacted:aws-access-key-id],"},
		{"aws_secret_access_key = " + strings.Repeat("aB3/", 10), "aws_secret_access_key = [redacted:aws-secret-key]"},
		{`"SecretAccessKey": "` + strings.Repeat("aB3/", 10) + `"`, `"SecretAccessKey": "[redacted:aws-secret-key]"`},
		{"xoxb-" + "123456789012-" + long[:24], "[redacted:slack-token]"},
		{"https://hooks.slack.com/services/" + "T0000/B0000/" + long[:24], "https://[redacted:slack-webhook]"},
		{"AIza" + long[:35], "[redacted:google-api-key]"},
		{jwt(), "[redacted:jwt]"},
		{`x\n` + jwt() + `\n`, `x\n[redacted:jwt]\n`},
		{"\x1b[31m" + jwt() + "\x1b[0m", "\x1b[31m[redacted:jwt]\x1b[0m"},
		{"token%3D" + jwt(), "token%3D[redacted:jwt]"},
		{"npm_" + long[:36], "[redacted:npm-token]"},
		{"pypi-" + "AgEIcHlwaS5vcmc" + long, "[redacted:pypi-token]"},
		{"sk_live_" + long[:24], "[redacted:stripe-key]"},
		{"rk_live_" + long[:24], "[redacted:stripe-key]"},
		{"sk-" + strings.Repeat("a", 48), "[redacted:api-key]"},
		{"sk-proj-" + long[:48], "[redacted:api-key]"},
		{"AGE-SECRET-KEY-" + "1" + strings.ToUpper(long[:58]), "[redacted:age-key]"},
	}
	r := New(nil)
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got := r.String(tt.text)
			assert.Equal(t, got, tt.want)
			assert.Equal(t, r.String(got), got, "not idempotent")
			assert.Equal(t, stream(t, r, tt.text, 1), tt.want)
		})
	}
}

func TestInnocent(t *testing.T) {
	r := New([]string{"GITHUB_TOKEN=an0ther-s3cret"})
	for _, text := range []string{
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
		"gotest.tools/v3 v3.5.2 h1:7koQfIKdy+I8UTetycgUqXWSDwpgv193Ka+qRsmBY8Q=",
		"gotest.tools/v3 v3.5.2/go.mod h1:LtdLGcnqToBH83WByAAi/wiwSFCArdFIUV/xxN4pcjA=",
		"id 123e4567-e89b-12d3-a456-426614174000",
		"/usr/lib/go/src/crypto/tls/handshake_client.go:42:7: undefined: x",
		"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
		`password := ""`, `password == "x"`, `password = cfg.Password`, `var password = ""`, `if password != "" {`,
		`"host=x password=" + pw + " dbname=y"`, `{"a":"password=","b":"x"}`, "password=$PASSWORD", "password=$(pass show db)", "password={{ .Values.password }}", "password={{.Password}};x", "PGPASSWORD=${{env.X}}",
		"joe:$PASSWORD@tcp(db:3306)/x", "user@tcp(db)/x", "password=${PG_PASSWORD}",
		"password=%s dbname=x", "password: must be longer", "--password=true", "password=***",
		"PWD=/home/joe OLDPWD=/tmp", "pwd=/tmp", `PWD=C:\Users\joe`,
		"ssh://git@github.com/x/y", "git@github.com:x/y.git", "https://example.com/@scope/pkg@1.2.3", "git+ssh://git@host/x",
		"https://proxy.golang.org:443/rsc.io/quote/@v/list", "http://[::1]:8080/", "https://a.b:80, joe@example.com",
		"postgres://joe:$PASSWORD@db/x", "https://${{ secrets.X }}@host", `"https://%s:%s@%s/x"`, "npm:@types/node@20", `'https://a','b@c'`,
		"Authorization: see the manual", `req.Header.Set("Authorization", "Bearer "+token)`, "authorization: true",
		"Bearer authentication-is-required-here", "the authorization := x", "Authorization: Bearer $TOKEN",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----",
		"ghp_short", "task-list-of-disk-and-risk-management-00001", "sk-fading-circle-container-element-12", "npm_config_user_agent_is_not_a_token_at_all",
		"pypi-server-and-other-packages", "eyJ is how a JWT begins", "AKIAfoo", "xAKIA" + strings.Repeat("A7", 8), "glpat-",
		"aws_secret_access_key", "aws_secret_access_key=short", "[redacted:github-token]", "password=[redacted:GITHUB_TOKEN]",
		"https://joe:[redacted:url-password]@host", "Authorization: Bearer [redacted:authorization]",
		"ok  \tgithub.com/dpone/dpone/evidence/redact\t0.012s\tcoverage: 93.1% of statements",
		"=== RUN   TestTokenPasswordSecretAuthorization", "bytes \x00\xff\xfe\x80 \x1b[31mred\x1b[0m", "", "é", "secret", "token",
	} {
		assert.Equal(t, r.String(text), text)
		assert.Equal(t, stream(t, r, text, 1), text)
	}
}

func TestKeyWithoutEnd(t *testing.T) {
	r := New(nil)
	body := strings.Repeat("A", 64) + "\n"
	text := keyLines()[0] + "\n" + strings.Repeat(body, 10000) + "end of log\n"
	for _, got := range []string{r.String(text), stream(t, r, text, 1000)} {
		assert.Assert(t, strings.HasPrefix(got, "[redacted:private-key]\n"))
		assert.Assert(t, strings.HasSuffix(got, body+"end of log\n"), "the limit of a block does not hold")
		assert.Assert(t, len(text)-len(got) <= maxKey+len(text)/100)
	}
	text = keyLines()[0] + "\nProc-Type: 4,ENCRYPTED\n\nPASS\nFAIL\nok\n"
	want := "[redacted:private-key]\nFAIL\nok\n" // PASS could be the last line of a body
	assert.Equal(t, r.String(text), want)
	assert.Equal(t, stream(t, r, text, 1), want)
}
