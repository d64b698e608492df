package redact

import (
	"net/url"
	"slices"
	"strings"
)

const (
	minValue    = 6 // least length of a value of a variable known by its name
	minExplicit = 4 // the same for a variable the caller named
	minLine     = 8 // least length of a line of a longer value

	minDigits         = 8 // least length of a value of digits only
	minExplicitDigits = 6
)

// Words in the names of variables that bear secrets.
var (
	nameContains = []string{
		"TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "COOKIE", "BEARER", "WEBHOOK",
		"API_KEY", "APIKEY", "ACCESS_KEY", "ACCESSKEY", "PRIVATE_KEY", "PRIVATEKEY", "SIGNING_KEY", "LOG_KEY",
		"ATTESTATION_KEY", "ENCRYPTION_KEY", "MASTER_KEY", "DEPLOY_KEY", "SSH_KEY", "GPG_KEY", "AGE_KEY",
		"ACCOUNT_KEY", "SERVICE_KEY", "LICENSE_KEY", "SESSION_KEY",
		"DATABASE_URL", "CONNECTION_STRING", "CONNECTIONSTRING", "CONN_STR",
	}
	nameSuffix = []string{
		"_DSN", "_PASS", "PWD", "_PAT", "_JWT", "DB_URL", "POSTGRES_URL", "MYSQL_URL",
		"REDIS_URL", "MONGO_URL", "MONGO_URI", "MONGODB_URI", "AMQP_URL", "BROKER_URL",
	}
	nameExact = []string{"DSN", "PASS", "PAT", "JWT"}

	// nameDescribes ends the names of variables that only tell about a secret:
	// where it is, what it is called, how it is used.
	nameDescribes = []string{
		"_FILE", "_PATH", "_DIR", "_SOCK", "_SOCKET", "_NAME", "_NAMES", "_USER", "_USERNAME", "_TYPE", "_MODE", "_METHOD",
		"_PROVIDER", "_HOST", "_PORT", "_ENABLED", "_DISABLED", "_TTL", "_TIMEOUT", "_EXPIRY", "_SCOPE", "_SCOPES",
		"_AUDIENCE", "_ISSUER", "_ALG", "_ALGORITHM", "_REGION", "_LENGTH", "_FORMAT", "_DOMAIN",
	}
)

// Words that are values of no secret. The second list is for variables known by
// name only: a caller who names a variable knows that even a default password
// is to be hidden.
var (
	plainWords = []string{
		"true", "false", "yes", "no", "on", "off", "none", "null", "nil", "undefined", "enabled", "disabled",
		"enable", "disable", "default", "auto", "always", "never", "unset", "empty",
	}
	commonWords = []string{
		"password", "passwd", "secret", "token", "changeme", "postgres", "mariadb", "mongodb", "rabbitmq",
		"admin", "administrator", "guest", "public", "anonymous", "example", "dummy", "required", "optional",
		"bearer", "oauth2", "github", "gitlab", "google", "docker", "kubernetes", "localhost", "production",
		"staging", "development", "testing", "strict", "console", "[masked]",
	}
)

// secretName says whether a variable bears a secret by its name.
func secretName(name string) bool {
	n := strings.ToUpper(name)
	in := func(list []string, test func(s, word string) bool) bool {
		return slices.ContainsFunc(list, func(word string) bool { return test(n, word) })
	}
	switch {
	case n == "PWD" || n == "OLDPWD" || n == "GOOGLE_APPLICATION_CREDENTIALS":
		return false // directories and a file
	case in(nameDescribes, strings.HasSuffix):
		return false
	case in(nameContains, strings.Contains), in(nameSuffix, strings.HasSuffix), slices.Contains(nameExact, n):
		return true
	}
	for rest := n; ; {
		_, after, ok := strings.Cut(rest, "AUTH")
		if !ok {
			return false
		}
		if !strings.HasPrefix(after, "OR") || strings.HasPrefix(after, "ORIZATION") {
			return true
		}
		rest = after
	}
}

// secretParts returns what is to be searched for of a variable's value. It finds
// passwords in it by the shapes in x.
func secretParts(x *index, name, value string, explicit bool) []string {
	value = strings.TrimSpace(value)
	var out []string
	add := func(part string, least int) {
		part = strings.TrimSpace(part)
		if len(part) >= least && !plain(part, explicit) && !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	whole := explicit || secretName(name)
	least := minValue
	if explicit {
		least = minExplicit
	}
	if whole {
		add(value, least)
		texts := []string{value}
		if strings.Contains(value, `\n`) { // a key that had to fit one line
			texts = append(texts, strings.ReplaceAll(value, `\n`, "\n"))
			add(texts[1], least)
		}
		for _, text := range texts {
			if !strings.Contains(text, "\n") {
				continue
			}
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, "-----") { // the frame of PEM is public
					add(line, minLine)
				}
			}
		}
	}
	if !strings.ContainsAny(value, "=@") || !whole && !strings.Contains(value, "://") {
		return out
	}
	for _, sp := range x.search(value, nil).spans {
		// In a variable of any name only a password after a user is a secret:
		// https://organization@host is common.
		password := sp.label == kindURLPassword && value[sp.start-1] == ':'
		if !password && (!whole || sp.label != kindURLPassword && sp.label != kindPassword) {
			continue
		}
		part := value[sp.start:sp.end]
		add(part, least)
		if decoded, err := url.PathUnescape(part); err == nil {
			add(decoded, least)
		}
		if decoded, err := url.QueryUnescape(part); err == nil {
			add(decoded, least)
		}
	}
	return out
}

// plain says that value is too common to be searched for.
func plain(value string, explicit bool) bool {
	low := strings.ToLower(value)
	digits := minDigits
	if explicit {
		digits = minExplicitDigits
	}
	switch {
	case slices.Contains(plainWords, low), !explicit && slices.Contains(commonWords, low):
		return true
	case len(value) < digits && strings.Trim(value, "0123456789") == "":
		return true
	}
	return !isAlnum(value[0]) && strings.Trim(value, value[:1]) == ""
}
