package e2e

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// libraryFolder holds relying parties made of other people's libraries: Node.js scripts and a Go module.
const libraryFolder = "relyingparties"

// application is a relying party's registration as the realm file and the relying party itself are told it.
type application struct {
	ID     string `json:"id"`
	Secret string `json:"secret,omitempty"`
	// Key is the private key that it proves itself by, PKCS #8 in PEM.
	Key string `json:"key,omitempty"`
	// settings are further lines of the realm file. {origin} stands for the origin that the relying party listens on.
	settings string
}

// party is a relying party that runs as a process of its own.
type party struct {
	// applications are its registrations, by the names that it knows them by.
	applications map[string]application
	// checks is how many lines "checked …" it writes when nothing is wrong.
	checks int
	// command makes the process.
	command func(t *testing.T) *exec.Cmd
	// socket is what it listens on.
	socket *net.TCPListener
}

// newParty makes the secrets and the socket of a relying party. The socket exists before the realm does, which has to
// name its port.
func newParty(t *testing.T, checks int, command func(t *testing.T) *exec.Cmd, settings map[string]string) *party {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	socket, ok := listener.(*net.TCPListener)
	require.True(t, ok)
	p := &party{applications: map[string]application{}, checks: checks, command: command, socket: socket}
	for name, lines := range settings {
		p.applications[name] = application{ID: name + "-app", Secret: rand.Text() + rand.Text(), settings: lines}
	}
	return p
}

func (p *party) origin() string { return "http://" + p.socket.Addr().String() }

// partiesRealm writes the applications of the parties and a person.
func partiesRealm(parties map[string]*party) string {
	var b strings.Builder
	// A key that is made at its first use is in no copy of the key set that a relying party has kept.
	b.WriteString("realm: parties\nname: Parties\nkeys: {algorithms: [ES256, RS256, EdDSA]}\napplications:\n")
	for _, p := range parties {
		for _, a := range p.applications {
			fmt.Fprintf(&b, "  - {client_id: %s, consent: never, ", a.ID)
			if !strings.Contains(a.settings, "grant_types:") {
				b.WriteString("grant_types: [authorization_code, refresh_token], ")
			}
			if !strings.Contains(a.settings, "application_type: native") && !strings.Contains(a.settings, "private_key_jwt") {
				fmt.Fprintf(&b, "secrets: [%s], ", a.Secret)
			}
			b.WriteString(strings.ReplaceAll(a.settings, "{origin}", p.origin()) + "}\n")
		}
	}
	return b.String() + personOfParties
}

// personOfParties is who signs in at every relying party.
const personOfParties = `
users:
  - username: ana
    email: ana@example.test
    email_verified: true
    password: ` + anaPassword + `
    claims: {name: Ana Silva, given_name: Ana, family_name: Silva, picture: "https://pictures.example/ana.png"}
`

// run runs the relying party against a realm and fails the test with what it wrote unless it checked all there is.
func (p *party) run(t *testing.T, issuer string) {
	t.Helper()
	task := map[string]any{"issuer": issuer, "username": "ana", "password": anaPassword, "listener": p.origin()}
	for name, a := range p.applications {
		task[name] = a
	}
	told, err := json.Marshal(task)
	require.NoError(t, err)
	socket, err := p.socket.File()
	require.NoError(t, err)
	defer func() { _ = socket.Close() }()
	cmd := p.command(t)
	cmd.Env = append(os.Environ(), "GATEHOUSE_RELYING_PARTY="+string(told), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	cmd.ExtraFiles = []*os.File{socket}
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "the relying party wrote:\n%s", output)
	require.Contains(t, string(output), "library ", "it does not say what it drives")
	require.Equal(t, p.checks, strings.Count("\n"+string(output), "\nchecked "), "it ended before its end:\n%s", output)
	t.Logf("%s", output)
}

// script is the command of a Node.js script.
func script(name string) func(t *testing.T) *exec.Cmd {
	return func(t *testing.T) *exec.Cmd {
		t.Helper()
		dir := t.TempDir()
		require.NoError(t, os.Symlink(filepath.Join(libraries(t), "node_modules"), filepath.Join(dir, "node_modules")))
		files, err := filepath.Glob(filepath.Join(libraryFolder, "*.mjs"))
		require.NoError(t, err)
		copyFiles(t, dir, files...)
		cmd := exec.CommandContext(within(t, time.Minute), "node", name+".mjs")
		cmd.Dir = dir
		return cmd
	}
}

// module is the command of a Go module below libraryFolder.
func module(name string) func(t *testing.T) *exec.Cmd {
	return func(t *testing.T) *exec.Cmd {
		t.Helper()
		binary := filepath.Join(t.TempDir(), name)
		// Built, not `go run`, which hands no socket on.
		build := exec.CommandContext(within(t, 5*time.Minute), "go", "build", "-o", binary, ".")
		build.Dir = filepath.Join(libraryFolder, name)
		build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		output, err := build.CombinedOutput()
		require.NoError(t, err, "%s", output)
		return exec.CommandContext(within(t, time.Minute), binary)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func copyFiles(t testing.TB, to string, files ...string) {
	t.Helper()
	for _, name := range files {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, filepath.Base(name)), content, 0o600))
	}
}

// installing lets one test install while the others wait: there is one folder per person, whatever tests want it.
var installing sync.Mutex

// libraries is the folder with the npm packages of package-lock.json, outside this repository. It is filled at the
// first need and whenever the lock changes.
func libraries(t testing.TB) string {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	lock, err := os.ReadFile(filepath.Join(libraryFolder, "package-lock.json"))
	require.NoError(t, err)
	cache, err := os.UserCacheDir()
	require.NoError(t, err, "npm packages are kept in the user's cache: set HOME or XDG_CACHE_HOME")
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "gatehouse", "relyingparties-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o700))
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-") //nolint:usetesting // it outlives the test under another name
	require.NoError(t, err)
	defer func() { _ = os.RemoveAll(unfinished) }()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		copyFiles(t, unfinished, filepath.Join(libraryFolder, name))
	}
	_, err = exec.LookPath("npm")
	require.NoError(t, err, "the relying parties need Node.js and npm: `make deps` installs them")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci")
	npm.Dir = unfinished
	output, err := npm.CombinedOutput()
	require.NoError(t, err, "npm could not install the relying parties' libraries. The first run needs a registry that npm can reach: "+
		"check `npm ping`, and where a mirror or a proxy is needed, name it with `npm config set`. npm said:\n%s", output)
	if err := os.Rename(unfinished, dir); err != nil {
		require.DirExists(t, dir, "%v", err) // another process was faster
	}
	return dir
}

const (
	fixedCallback = `redirect_uris: ["http://127.0.0.1:9/callback"], post_logout_redirect_uris: ["http://127.0.0.1:9/goodbye"]`
	guard         = `grant_types: [client_credentials], introspects: ["*"]`
	ownCallback   = `redirect_uris: ["{origin}/callback"], post_logout_redirect_uris: ["{origin}/goodbye"]`
)

// The public halves of the keys that openid-client.mjs (RFC 8037, appendix A) and oauth4webapi.mjs (RFC 7515,
// appendix A.3) prove themselves by.
const (
	publicKey  = `{kty: OKP, crv: Ed25519, kid: rfc8037, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}`
	publicKey2 = `{kty: EC, crv: P-256, kid: rfc7515, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0}`
)

// everyGrant are the grants of a relying party that is a service as well.
const everyGrant = ", grant_types: [authorization_code, refresh_token, client_credentials]"

// withKey gives an application of the party a key that the party is handed.
func (p *party) withKey(t *testing.T, name, alg, settings string) *party {
	t.Helper()
	k := newPair(t, alg, name)
	private, err := x509.MarshalPKCS8PrivateKey(k.private)
	require.NoError(t, err)
	p.applications[name] = application{
		ID: name + "-app", Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		settings: settings + ", token_endpoint_auth_method: private_key_jwt, jwks: " + jwks(t, k),
	}
	return p
}

func TestRelyingParties(t *testing.T) {
	t.Parallel()
	parties := map[string]*party{
		"openid-client": newParty(t, 31, script("openid-client"), map[string]string{
			"basic":  fixedCallback,
			"post":   fixedCallback + ", token_endpoint_auth_method: client_secret_post",
			"native": fixedCallback + ", application_type: native",
			"keyed":  fixedCallback + ", token_endpoint_auth_method: private_key_jwt, strict_assertion_audience: true, jwks: {keys: [" + publicKey + "]}" + everyGrant,
			"signed": fixedCallback + ", id_token_signed_response_alg: RS256, userinfo_signed_response_alg: EdDSA",
		}),
		"passport-openidconnect": newParty(t, 3, script("passport-openidconnect"), map[string]string{
			"passport": ownCallback + ", token_endpoint_auth_method: client_secret_post, pkce: optional",
		}),
		"Auth.js": newParty(t, 2, script("authjs"), map[string]string{
			"authjs": `redirect_uris: ["{origin}/auth/callback/gatehouse"], claims_in_id_token: true`,
		}),
		"oauth4webapi": newParty(t, 9, script("oauth4webapi"), map[string]string{
			"web": fixedCallback + ", token_endpoint_auth_method: private_key_jwt, jwks: {keys: [" + publicKey2 + "]}" + everyGrant +
				", scopes: [openid, profile, email, read], audiences: [\"https://api.example\"]",
		}),
		// Its code exchange tries Basic before the form, its refresh knows the form alone. The guards are resource
		// servers, which ask about its tokens.
		"zitadel": newParty(t, 8, module("zitadel"), map[string]string{
			"zitadel": ownCallback + ", token_endpoint_auth_method: client_secret_post",
			"guard":   guard,
		}).withKey(t, "keyguard", "RS256", guard),
	}
	// The parties read the machine's clock, and sign what they are by it.
	i := startWith(t, testdb.NewURL(t), func(_ *app.Process, o *app.Options) { o.Now = nil }, partiesRealm(parties))
	for name, p := range parties {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.run(t, i.Issuer("parties"))
		})
	}
}
