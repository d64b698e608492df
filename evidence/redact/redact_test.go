package redact

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"
)

// secretValue has a character for every escape there is.
const secretValue = `s3cr/t+<&>"v'l=u?e~ö😀\x`

func TestEncodings(t *testing.T) {
	r := New([]string{"MY_TOKEN=" + secretValue})
	jsonHTML, err := json.Marshal(secretValue)
	assert.NilError(t, err)
	jsonPlain, err := jsonString(secretValue, false)
	assert.NilError(t, err)
	var xmlText strings.Builder
	assert.NilError(t, xml.EscapeText(&xmlText, []byte(secretValue)))
	query := url.QueryEscape(secretValue)
	encoded := map[string]string{
		"plain":            secretValue,
		"JSON":             strings.Trim(string(jsonHTML), `"`),
		"JSON upper":       upperUnicode(strings.Trim(string(jsonHTML), `"`)),
		"JSON plain":       strings.Trim(jsonPlain, `"`),
		"JSON slash":       strings.ReplaceAll(strings.Trim(jsonPlain, `"`), "/", `\/`),
		"JSON ASCII":       asciiOnly(strings.Trim(jsonPlain, `"`)),
		"Go":               strings.Trim(fmt.Sprintf("%q", secretValue), `"`),
		"query":            query,
		"query lower":      lowerHex(query),
		"path":             url.PathEscape(secretValue),
		"path lower":       lowerHex(url.PathEscape(secretValue)),
		"userinfo":         url.User(secretValue).String(),
		"XML":              xmlText.String(),
		"HTML":             html.EscapeString(secretValue),
		"HTML named":       strings.ReplaceAll(html.EscapeString(secretValue), "&#34;", "&quot;"),
		"XML minimal":      strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(secretValue),
		"base64":           base64.StdEncoding.EncodeToString([]byte(secretValue)),
		"base64 raw":       base64.RawStdEncoding.EncodeToString([]byte(secretValue)),
		"base64 URL":       base64.URLEncoding.EncodeToString([]byte(secretValue)),
		"base64 URL raw":   base64.RawURLEncoding.EncodeToString([]byte(secretValue)),
		"base64 of blanks": base64.StdEncoding.EncodeToString([]byte(secretValue + "\n")),
	}
	for name, text := range encoded {
		t.Run(name, func(t *testing.T) {
			got := r.String("before " + text + " after")
			if strings.HasPrefix(name, "base64 of") {
				assert.Assert(t, strings.HasPrefix(got, "before [redacted:MY_TOKEN]"), got)
				return
			}
			assert.Equal(t, got, "before [redacted:MY_TOKEN] after")
		})
	}
}

func TestBase64Alignment(t *testing.T) {
	const value = "correct-horse-battery"
	r := New([]string{"A_SECRET=" + value})
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		for before := range 7 {
			for after := range 7 {
				text := enc.EncodeToString([]byte(strings.Repeat("?", before) + value + strings.Repeat("~", after)))
				got := r.String(text)
				assert.Assert(t, strings.Contains(got, "[redacted:A_SECRET]"), "%d %d: %s", before, after, got)
				left, right, _ := strings.Cut(got, "[redacted:A_SECRET]")
				// Of the value's ends at most a few bits may stay.
				assert.Assert(t, len(left) <= (before*8+5)/6+1 && len(right) <= (after*8+5)/6+2, "%d %d: %s", before, after, got)
			}
		}
	}
}

func TestVariables(t *testing.T) {
	tests := []struct {
		env   string
		names []string
		text  string
		want  string
	}{
		{env: "GITHUB_TOKEN=abcdef", text: "x abcdef y", want: "x [redacted:GITHUB_TOKEN] y"},
		{env: "github_token=abcdef", text: "x abcdef y", want: "x [redacted:github_token] y"},
		{env: "GITHUB_TOKEN=abcde", text: "abcde", want: "abcde"},
		{env: "OTHER=abcd", names: []string{"other"}, text: "abcd", want: "[redacted:OTHER]"},
		{env: "OTHER=abc", names: []string{"OTHER"}, text: "abc", want: "abc"},
		{env: "OTHER=abcdefgh", text: "abcdefgh", want: "abcdefgh"},
		{env: "A_TOKEN=default", text: "default", want: "default"},
		{env: "A_TOKEN=1234567", text: "1234567", want: "1234567"},
		{env: "A_TOKEN=12345678", text: "12345678", want: "[redacted:A_TOKEN]"},
		{env: "A_TOKEN=2024", names: []string{"A_TOKEN"}, text: "2024", want: "2024"},
		{env: "A_TOKEN=----------", text: "----------", want: "----------"},
		{env: "PASSWORD=password", text: "the password", want: "the password"},
		{env: "PASSWORD=password", names: []string{"PASSWORD"}, text: "the password", want: "the [redacted:PASSWORD]"},
		{env: "A(x)<TOKEN>=abcdef", text: "abcdef", want: "[redacted:A_x__TOKEN_]"},
		{env: "A_TOKEN= abcdef\n", text: "[abcdef]", want: "[[redacted:A_TOKEN]]"},
		// Passwords inside a value.
		{env: "DATABASE_URL=postgres://joe:hunter%2F22@db/x", text: "pw hunter/22 hunter%2F22 hunter%2f22", want: "pw [redacted:DATABASE_URL] [redacted:DATABASE_URL] [redacted:DATABASE_URL]"},
		{env: "APP_DSN=host=db user=joe password=hunter22 dbname=x", text: "pw hunter22", want: "pw [redacted:APP_DSN]"},
		{env: "APP_DSN=host=db password='hunter 22'", text: "pw hunter 22!", want: "pw [redacted:APP_DSN]!"},
		{env: "APP_DSN=joe:hunter22@tcp(db:3306)/x", text: "pw hunter22", want: "pw [redacted:APP_DSN]"},
		{env: "HTTPS_PROXY=http://joe:hunter22@proxy:3128", text: "pw hunter22, proxy:3128", want: "pw [redacted:HTTPS_PROXY], proxy:3128"},
		{env: "REMOTE=https://organization@host/x", text: "organization", want: "organization"},
		{env: "DATABASE_URL=postgres://postgres:postgres@db/x", text: "image postgres:16", want: "image postgres:16"},
		// Values of several lines.
		{env: "A_SECRET=first line\nx\nsecond line", text: "first line\nx\nsecond line", want: "[redacted:A_SECRET]"},
		{env: "A_SECRET=first line\nx\nsecond line", text: "> second line\n> x", want: "> [redacted:A_SECRET]\n> x"},
		{env: `A_SECRET=first line\nsecond line`, text: "> second line", want: "> [redacted:A_SECRET]"},
		// A name that holds the value, and a value within a marker.
		{env: "MYSECRET_TOKEN=MYSECRET", text: "MYSECRET", want: "[redacted:MYSECRET_TOKEN]"},
		{env: "A_TOKEN=redacted", text: "redacted", want: "[redacted:A_TOKEN]"},
		// Escape sequences around a value stay whole.
		{env: "A_TOKEN=n0tnewline", text: `{"a":"x\n0tnewline"}`, want: `{"a":"x[redacted:A_TOKEN]"}`},
	}
	for _, tt := range tests {
		t.Run(tt.env+" "+tt.text, func(t *testing.T) {
			r := New([]string{tt.env}, tt.names...)
			got := r.String(tt.text)
			assert.Equal(t, got, tt.want)
			assert.Equal(t, r.String(got), got)
		})
	}
}

func TestSecretName(t *testing.T) {
	for _, name := range []string{
		"GITHUB_TOKEN", "npm_config__authToken", "CLIENT_SECRET", "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "OPENAI_API_KEY",
		"AWS_SECRET_ACCESS_KEY", "COSIGN_PRIVATE_KEY", "SIGNING_KEY", "DPONE_ATTESTATION_KEY", "DPONE_LOG_KEY", "SENTRY_DSN",
		"DATABASE_URL", "APP_CONNECTION_STRING", "BASIC_AUTH", "HTTP_AUTHORIZATION", "OAUTH_CODE", "SESSION_COOKIE",
		"GPG_PASSPHRASE", "SERVICE_CREDENTIALS", "SLACK_WEBHOOK_URL", "AUTHOR_AUTH",
	} {
		assert.Assert(t, secretName(name), name)
	}
	for _, name := range []string{
		"PWD", "OLDPWD", "DPONE_SECRET_NAMES", "SSH_AUTH_SOCK", "XAUTHORITY", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "AUTHORS", "PATH", "HOME",
		"GOOGLE_APPLICATION_CREDENTIALS", "TOKEN_FILE", "AUTH_TYPE", "GOFLAGS", "KEYBOARD", "PWDEBUG", "GIT_ASKPASS", "",
	} {
		assert.Assert(t, !secretName(name), name)
	}
}

func TestNames(t *testing.T) {
	r := New([]string{"Z_TOKEN=abcdef", "A_TOKEN=abcdef", "B_TOKEN=", "C_TOKEN=true", "D=ab", "=C:=C:\\", "broken", "A_TOKEN=ghijkl"}, "D", "E")
	assert.DeepEqual(t, r.Names(), []string{"A_TOKEN", "D", "Z_TOKEN"})
	assert.Equal(t, r.String("abcdef ghijkl"), "[redacted:A_TOKEN] [redacted:A_TOKEN]")
	r.Names()[0] = "changed"
	assert.Equal(t, r.Names()[0], "A_TOKEN")
	assert.Assert(t, New(nil).Names() != nil)
}

func TestOverlap(t *testing.T) {
	r := New([]string{"A_TOKEN=abcdefgh", "B_TOKEN=efghijklmn", "C_TOKEN=abcdefghij"})
	assert.Equal(t, r.String("-abcdefghijklmn-"), "-[redacted:C_TOKEN]-")
	assert.Equal(t, r.String("abcdefghabcdefgh"), "[redacted:A_TOKEN][redacted:A_TOKEN]")
	assert.Equal(t, r.String("password=abcdefgh1"), "password=[redacted:A_TOKEN]")

	r = New([]string{"A_TOKEN=joe:hunter2@ho"})
	assert.Equal(t, r.String("https://joe:hunter2@host"), "https://[redacted:A_TOKEN]st")
}

func TestBytes(t *testing.T) {
	r := New([]string{"A_TOKEN=abcdefgh"})
	in := []byte("x abcdefgh")
	assert.Equal(t, string(r.Bytes(in)), "x [redacted:A_TOKEN]")
	assert.Equal(t, string(in), "x abcdefgh")
	assert.Equal(t, string(r.Bytes([]byte{0xff, 0, 'a'})), "\xff\x00a")
	assert.Assert(t, r.Bytes(nil) == nil)
}

func TestConcurrence(t *testing.T) {
	r := New([]string{"A_TOKEN=abcdefgh"})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got := r.String("x abcdefgh " + github()); got != "x [redacted:A_TOKEN] [redacted:github-token]" {
					t.Error(got)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzString(f *testing.F) {
	const first, second = "pl4nted/secret+<1>", "0ther-s3cret"
	r := New([]string{"A_TOKEN=" + first, "B_PASSWORD=" + second, "C_DSN=postgres://u:" + second + "x@h"})
	f.Add("", "")
	f.Add("password=", ";")
	f.Add("https://user:", "@host")
	f.Add("-----BEGIN PRIVATE "+"KEY-----\n", "\n-----END PRIVATE "+"KEY-----")
	f.Add("Authorization: Basic ", "\n")
	f.Add("[redacted:", "]")
	f.Add("[redacted:A_TOKEN", "]")
	f.Add(`{"a":"\`, `"}`)
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, secret := range []string{first, second} {
			got := r.String(before + secret + after)
			if strings.Contains(got, secret) {
				t.Fatalf("%q survives in %q", secret, got)
			}
			if again := r.String(got); again != got {
				t.Fatalf("not idempotent: %q, then %q", got, again)
			}
			got = r.String(base64.StdEncoding.EncodeToString([]byte(before + secret + after)))
			if dec, err := base64.RawStdEncoding.DecodeString(got); err == nil && strings.Contains(string(dec), secret) {
				t.Fatalf("%q survives in base64", secret)
			}
		}
	})
}
