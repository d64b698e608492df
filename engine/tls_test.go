package engine_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/postgres/pgserver"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

// certificate writes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	assert.NilError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	assert.NilError(t, err)
	raw, err := x509.MarshalECPrivateKey(private)
	assert.NilError(t, err)
	cert, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	assert.NilError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	assert.NilError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}

// TestTLS holds that the parameters of a connection are honoured: a certificate
// that nobody signed is refused, and the same one is taken when the manifest names it.
func TestTLS(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	options := pgtest.Options()
	if options.DSN != "" {
		t.Skip("an external server has the certificate that it has")
	}
	options.TCP = true
	server := pgtest.Server(t, options)
	cert, key := certificate(t, t.TempDir())
	install(t, server, cert, key)
	address, err := url.Parse(server.TCPDSN())
	assert.NilError(t, err)
	password, _ := address.User.Password()
	run := func(parameters string) error {
		m, err := manifest.Parse("tls.yaml", fmt.Appendf(nil, `name: over_tls
source:
  type: postgres
  connection: {host: 127.0.0.1, port: %s, database: postgres, user: %s, password: "env:PASSWORD", %s}
  options: {query: {sql: "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"}}
sink:
  type: file
  path: %s
  options: {format: csv}
  strategy: {mode: full_refresh}
quality: {gates: [{type: accepted_values, columns: ssl, values: ["true"]}]}
`, address.Port(), address.User.Username(), parameters, filepath.Join(t.TempDir(), "out")))
		assert.NilError(t, err)
		_, err = engine.Run(ctx, m, engine.Options{
			Connectors: connectors.All(), Secret: func(manifest.Secret) (string, error) { return password, nil },
		})
		return err
	}
	assert.NilError(t, run("sslmode: require"))
	assert.NilError(t, run("sslmode: verify-full, sslrootcert: "+cert))
	assert.ErrorContains(t, run("sslmode: verify-full"), "certificate")
	other, _ := certificate(t, t.TempDir())
	assert.ErrorContains(t, run("sslmode: verify-ca, sslrootcert: "+other), "certificate")
	assert.ErrorContains(t, run("sslmode: disable"), "DPONE_QUALITY_GATES_FAILED")
}

// install gives a server a certificate while it stands still.
func install(t *testing.T, server *pgserver.Server, cert, key string) {
	t.Helper()
	ctx := context.Background()
	assert.NilError(t, server.StopKeep(ctx))
	data := server.DataDir()
	owner, err := os.Stat(data)
	assert.NilError(t, err)
	for from, to := range map[string]string{cert: "server.crt", key: "server.key"} {
		raw, err := os.ReadFile(from)
		assert.NilError(t, err)
		path := filepath.Join(data, to)
		assert.NilError(t, os.WriteFile(path, raw, 0o600))
		assert.NilError(t, chown(path, owner))
	}
	conf, err := os.OpenFile(filepath.Join(data, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	assert.NilError(t, err)
	_, err = conf.WriteString("ssl = on\n")
	assert.NilError(t, err)
	assert.NilError(t, conf.Close())
	assert.NilError(t, server.StartAgain(ctx))
}
