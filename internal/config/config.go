// Package config is the typed configuration of a process: read once, checked
// once, passed on by value.
//
// A setting has one name, that of its environment variable. Its value comes from
// the first of these that gives one: a command-line flag, the environment, the
// YAML file, the default. In the file a setting is called by its name in lower
// case without "GATEHOUSE_" (database_url), on the command line the same with
// dashes. An empty value counts as none. Every secret can also be given as a
// path, under its name followed by _FILE; giving both is refused, and so is a
// name nobody knows.
//
// Only what a process needs to start lives here. Everything that may differ
// between realms is in the database, and the four flags at the end of Config are
// merely the defaults that a realm may override. Load touches no global: it is
// handed the environment and the means to read files.
package config

import (
	"log/slog"
	"time"
)

// Mode is what the process is started for. It decides which settings must be
// present and which are refused.
type Mode string

// The modes, after the commands that start them.
const (
	ModeDev     Mode = "dev"     // everything on loopback with sensible inventions; the only development mode
	ModeServe   Mode = "serve"   // the public server
	ModeWorker  Mode = "worker"  // background work only
	ModeRealm   Mode = "realm"   // commands that change realms
	ModeMigrate Mode = "migrate" // schema changes: needs a database and nothing else
)

// Config holds every setting. The tags are read by Load: env is the name,
// envDefault the default, dev the default in development where it differs.
type Config struct {
	// Mode is given by the command, never by the environment.
	Mode Mode `env:"-"`

	// Addr is where the public listener binds, host:port. Development binds
	// loopback only.
	Addr string `env:"GATEHOUSE_ADDR" envDefault:"127.0.0.1:8080"`
	// PrivateAddr is where metrics, health and profiling are served. It must not
	// be reachable from outside.
	PrivateAddr string `env:"GATEHOUSE_PRIVATE_ADDR" envDefault:"127.0.0.1:9090"`
	// PublicURL is the origin under which browsers and applications reach us.
	// Issuers are built from it, never from a Host header. Outside development
	// it is https unless its host is loopback; in development it is loopback, and
	// empty means the address of the listener.
	PublicURL Origin `env:"GATEHOUSE_PUBLIC_URL"`
	// TLSCertFile and TLSKeyFile, PEM, make the public listener speak TLS. Only
	// together.
	TLSCertFile string `env:"GATEHOUSE_TLS_CERT_FILE"`
	TLSKeyFile  string `env:"GATEHOUSE_TLS_KEY_FILE"`
	// TrustedProxies are the networks whose X-Forwarded headers are believed.
	TrustedProxies Networks `env:"GATEHOUSE_TRUSTED_PROXIES"`
	// OutboundAllow lists what the guard of outbound requests lets through
	// beyond public hosts on port 443: a host (with private addresses too), a
	// host:port, or a network of private addresses.
	OutboundAllow Destinations `env:"GATEHOUSE_OUTBOUND_ALLOW"`

	// DatabaseURL is PostgreSQL's connection string. In development, empty means
	// the embedded server.
	DatabaseURL Secret `env:"GATEHOUSE_DATABASE_URL"`
	// MigrationDatabaseURL is a separate login for schema changes; empty means
	// DatabaseURL.
	MigrationDatabaseURL Secret `env:"GATEHOUSE_MIGRATION_DATABASE_URL"`
	// DatabaseMaxConns and DatabaseMinConns bound the pool of one process. All
	// processes together must stay below PostgreSQL's max_connections.
	DatabaseMaxConns int `env:"GATEHOUSE_DATABASE_MAX_CONNS" envDefault:"20"`
	DatabaseMinConns int `env:"GATEHOUSE_DATABASE_MIN_CONNS" envDefault:"4"`
	// PostgresBin is the directory of initdb and postgres for the embedded
	// server; empty means that the usual places are searched.
	PostgresBin string `env:"GATEHOUSE_PG_BIN"`
	// RedisURL is where limits are counted when several processes share them:
	// redis://, rediss:// or unix://; empty means in this process. Outside
	// development a Redis on another machine is rediss://.
	RedisURL Secret `env:"GATEHOUSE_REDIS_URL"`

	// SecretKey is the ring of master keys that seal secrets at rest: a comma
	// list of id:base64 of 32 bytes. The first seals, all open. Development makes
	// and keeps its own.
	SecretKey Keys `env:"GATEHOUSE_SECRET_KEY"`
	// PasswordPepper is the ring of keys that passwords are authenticated with
	// before they are hashed, in the same form: the first is for new hashes, all
	// are for stored ones. Empty means none.
	PasswordPepper Keys `env:"GATEHOUSE_PASSWORD_PEPPER"`
	// PasswordMemory is what all password hashes being computed may take
	// together, with a unit: 256MiB. Requests beyond it queue, then are refused.
	PasswordMemory Bytes `env:"GATEHOUSE_PASSWORD_MEMORY" envDefault:"256MiB"`
	// BreachRangeURL is the service that realms ask for breached passwords when
	// their policy says "range": it learns five hexadecimal digits of a SHA-1.
	BreachRangeURL Origin `env:"GATEHOUSE_BREACH_RANGE_URL" envDefault:"https://api.pwnedpasswords.com"`
	// BreachList is a file of SHA-1 hashes of breached passwords, sorted, one a
	// line, for realms whose policy says "list".
	BreachList string `env:"GATEHOUSE_BREACH_LIST"`

	// Worker is on when the server does the background work too, or off when
	// processes of "gatehouse worker" do.
	Worker string `env:"GATEHOUSE_WORKER" envDefault:"on"`
	// MailServers take the mails, each when the ones before it fail: smtps:// or
	// smtp://, with user and password. Without any, mails wait until they expire;
	// development shows them at /dev/outbox.
	MailServers MailServers `env:"GATEHOUSE_SMTP_URL"`
	// MailFrom is the address of every mail, with a name or without.
	MailFrom string `env:"GATEHOUSE_MAIL_FROM"`

	// RealmFiles are applied at start, in this order.
	RealmFiles []string `env:"GATEHOUSE_REALM_FILES"`

	// LogFormat is json, text, or auto: text on a terminal, else json.
	LogFormat string `env:"GATEHOUSE_LOG_FORMAT" envDefault:"auto"`
	// LogLevel is debug, info, warn or error.
	LogLevel slog.Level `env:"GATEHOUSE_LOG_LEVEL" envDefault:"info"`

	// ShutdownDelay is how long a stopping process still serves while it already
	// answers "not ready", so that load balancers notice.
	ShutdownDelay time.Duration `env:"GATEHOUSE_SHUTDOWN_DELAY" envDefault:"5s" dev:"0s"`
	// DrainTimeout is how long requests under way may take after that.
	DrainTimeout time.Duration `env:"GATEHOUSE_DRAIN_TIMEOUT" envDefault:"20s" dev:"2s"`

	// AllowAutoRegistration lets people make their own account, by form and at
	// their first sign-in through another provider.
	AllowAutoRegistration bool `env:"ALLOW_AUTO_REGISTRATION" envDefault:"false"`
	// RequireEmailVerification refuses sign-in until the address is confirmed.
	RequireEmailVerification bool `env:"REQUIRE_EMAIL_VERIFICATION" envDefault:"false"`
	// ForcePasswordRotation makes passwords expire.
	ForcePasswordRotation bool `env:"FORCE_PASSWORD_ROTATION" envDefault:"false"`
	// EnableMFA offers second factors. Off never lowers what a role demands.
	EnableMFA bool `env:"ENABLE_MFA" envDefault:"true"`

	settings []Setting
}

// Works tells whether the process does background work.
func (c Config) Works() bool {
	switch c.Mode {
	case ModeWorker:
		return true
	case ModeServe, ModeDev:
		return c.Worker == "on"
	default:
		return false
	}
}

// Source says where a value came from.
type Source string

// The sources, weakest first.
const (
	SourceDefault Source = "default"
	SourceFile    Source = "file"
	SourceEnv     Source = "env"
	SourceFlag    Source = "flag"
)

// Setting is one line of "config show".
type Setting struct {
	Name   string // the setting's name: GATEHOUSE_ADDR
	Value  string // as given; "[redacted]" for a secret, empty when there is none
	Source Source
	From   string // the path, when a secret was read from its _FILE
}

// Settings lists every setting with its value and where it came from, in the
// order of Config. Secrets are masked. It is complete even when Load returned an
// error, so that a check can show what it read.
func (c Config) Settings() []Setting { return c.settings }
