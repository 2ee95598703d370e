package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"time"
)

// Validate checks everything that can be known without touching the machine and
// returns an Invalid with all issues, or nil. Load has already called it; call
// it again after changing a Config.
func (c Config) Validate() error {
	v := &validation{config: c}
	v.mode()
	v.required()
	v.listeners()
	v.publicURL()
	v.tls()
	v.database()
	v.redis()
	v.mail()
	v.rest()
	if len(v.issues) == 0 {
		return nil
	}
	return v.issues
}

// example is the mend for a value that could not be read.
func example(name string) string {
	return map[string]string{
		"GATEHOUSE_PUBLIC_URL":       "Give an origin such as https://login.example.com.",
		"GATEHOUSE_SECRET_KEY":       `Make one with: echo "k1:$(openssl rand -base64 32)"`,
		"GATEHOUSE_TRUSTED_PROXIES":  "Give networks such as 10.0.0.0/8,192.168.1.7.",
		"GATEHOUSE_OUTBOUND_ALLOW":   "Give hosts and networks such as jwks.internal:8443,10.1.0.0/16.",
		"GATEHOUSE_PASSWORD_MEMORY":  "Give an amount such as 256MiB.",
		"GATEHOUSE_REDIS_URL":        "Give rediss://user:password@host:6379/0, or redis:// for a Redis on this machine.",
		"GATEHOUSE_SMTP_URL":         "Give smtps://user:password@smtp.example.com:465, or smtp:// for one with STARTTLS; several as a comma list.",
		"GATEHOUSE_MAIL_FROM":        "Give an address such as Example <login@example.com>.",
		"GATEHOUSE_LOG_LEVEL":        "Give debug, info, warn or error.",
		"GATEHOUSE_SHUTDOWN_DELAY":   "Give a duration such as 5s.",
		"GATEHOUSE_DRAIN_TIMEOUT":    "Give a duration such as 20s.",
		"GATEHOUSE_BREACH_RANGE_URL": "Give an origin such as https://breaches.example.com.",
	}[name]
}

type validation struct {
	config Config
	issues Invalid
}

func (v *validation) refuse(name, what, why, how string) {
	v.issues = append(v.issues, Issue{Name: name, What: what, Why: why, How: how})
}

func (v *validation) mode() {
	switch v.config.Mode {
	case ModeDev, ModeServe, ModeWorker, ModeRealm, ModeMigrate:
	default:
		v.refuse("mode", fmt.Sprintf("%q is unknown", v.config.Mode), "", "")
	}
}

// required asks for what only development can invent.
func (v *validation) required() {
	c := v.config
	if c.Mode == ModeDev {
		return
	}
	if c.DatabaseURL.IsZero() && (c.Mode != ModeMigrate || c.MigrationDatabaseURL.IsZero()) {
		v.refuse("GATEHOUSE_DATABASE_URL", "is missing", "Only development brings its own database.",
			"Give postgres://user:password@host/database, or its path as GATEHOUSE_DATABASE_URL_FILE.")
	}
	if c.Mode == ModeMigrate {
		return
	}
	if c.PublicURL == "" {
		v.refuse("GATEHOUSE_PUBLIC_URL", "is missing",
			"Applications know us by it, and it is never guessed from a request.", example("GATEHOUSE_PUBLIC_URL"))
	}
	if c.SecretKey.IsZero() {
		v.refuse("GATEHOUSE_SECRET_KEY", "is missing", "Secrets in the database are sealed with it.",
			example("GATEHOUSE_SECRET_KEY"))
	}
}

func (v *validation) listeners() {
	c := v.config
	for _, listener := range []struct{ name, addr string }{
		{"GATEHOUSE_ADDR", c.Addr},
		{"GATEHOUSE_PRIVATE_ADDR", c.PrivateAddr},
	} {
		_, port, err := net.SplitHostPort(listener.addr)
		number, portErr := strconv.ParseUint(port, 10, 16)
		switch {
		case err != nil || portErr != nil:
			v.refuse(listener.name, fmt.Sprintf("%q is not host:port", listener.addr), "",
				"Give an address such as 127.0.0.1:8080.")
		case c.Mode == ModeDev && !loopbackAddr(listener.addr):
			v.refuse(listener.name, fmt.Sprintf("%q is not a loopback address", listener.addr),
				"Development has a known user and no TLS, so nobody else may reach it.",
				"Give 127.0.0.1:8080, or run \"gatehouse serve\".")
		case number != 0 && listener.name == "GATEHOUSE_PRIVATE_ADDR" && listener.addr == c.Addr:
			v.refuse(listener.name, "is the same as GATEHOUSE_ADDR",
				"Metrics and profiles must not be on the public listener.", "Give it another port.")
		}
	}
}

func (v *validation) publicURL() {
	c := v.config
	switch {
	case c.PublicURL == "":
	case c.Mode == ModeDev && !c.PublicURL.Loopback():
		v.refuse("GATEHOUSE_PUBLIC_URL", fmt.Sprintf("%q is not on this machine", c.PublicURL),
			"Development has a known user and no TLS, so nobody else may reach it.",
			"Remove it, or run \"gatehouse serve\".")
	case c.Mode != ModeDev && !c.PublicURL.Secure() && !c.PublicURL.Loopback():
		v.refuse("GATEHOUSE_PUBLIC_URL", fmt.Sprintf("%q is not https", c.PublicURL),
			"Passwords and tokens would travel readable.", example("GATEHOUSE_PUBLIC_URL"))
	}
}

// tls refuses half a key pair, and a public listener that speaks plain http to
// whoever connects.
func (v *validation) tls() {
	c := v.config
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		given, missing := "GATEHOUSE_TLS_CERT_FILE", "GATEHOUSE_TLS_KEY_FILE"
		if c.TLSCertFile == "" {
			given, missing = missing, given
		}
		v.refuse(missing, "is missing", given+" is of no use alone.", "Give both or neither.")
	}
	open := c.Mode == ModeServe && !loopbackAddr(c.Addr) && !c.PublicURL.Loopback()
	if open && c.TLSCertFile == "" && c.TLSKeyFile == "" && c.TrustedProxies.IsZero() {
		v.refuse("GATEHOUSE_ADDR", fmt.Sprintf("%q would serve plain http to the network", c.Addr),
			"Plain http is allowed behind a declared proxy only.",
			"Set GATEHOUSE_TLS_CERT_FILE and GATEHOUSE_TLS_KEY_FILE, or name the proxy in GATEHOUSE_TRUSTED_PROXIES.")
	}
	for _, network := range c.TrustedProxies.list {
		if network.Bits() == 0 {
			v.refuse("GATEHOUSE_TRUSTED_PROXIES", fmt.Sprintf("%s is everybody", network),
				"Anyone could choose the address that limits and logs see.", example("GATEHOUSE_TRUSTED_PROXIES"))
		}
	}
}

func (v *validation) database() {
	c := v.config
	if c.DatabaseMaxConns < 1 || c.DatabaseMaxConns > 10_000 {
		v.refuse("GATEHOUSE_DATABASE_MAX_CONNS", fmt.Sprintf("%d is not between 1 and 10000", c.DatabaseMaxConns), "",
			"Give what one process may take of PostgreSQL's max_connections.")
	}
	if c.DatabaseMinConns < 0 || c.DatabaseMinConns > c.DatabaseMaxConns {
		v.refuse("GATEHOUSE_DATABASE_MIN_CONNS",
			fmt.Sprintf("%d is not between 0 and GATEHOUSE_DATABASE_MAX_CONNS (%d)", c.DatabaseMinConns, c.DatabaseMaxConns),
			"", "Lower it.")
	}
}

// redis refuses what would send the password and the counters of a limit readable over a network. It never repeats the
// address, which may hold the password.
func (v *validation) redis() {
	c, name := v.config, "GATEHOUSE_REDIS_URL"
	if c.RedisURL.IsZero() {
		return
	}
	u, err := url.Parse(c.RedisURL.Reveal())
	if err != nil || (u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix") || (u.Host == "") != (u.Scheme == "unix") {
		v.refuse(name, "is not the address of a Redis", "", example(name))
		return
	}
	query := u.Query()
	for parameter := range query {
		switch parameter {
		case "addr", "master_set", "db", "ca_file":
		default:
			v.refuse(name, fmt.Sprintf("has a parameter %q that is unknown", parameter), "",
				"Known are addr (more machines), master_set (of Sentinel), db and ca_file.")
		}
	}
	if c.Mode == ModeDev || u.Scheme != "redis" {
		return
	}
	hosts := []string{u.Hostname()}
	for _, addr := range query["addr"] {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		if !loopbackHost(host) {
			v.refuse(name, fmt.Sprintf("reaches %q without TLS", host),
				"Whoever is on the network in between could read its password and lift every limit.",
				"Begin it with rediss://; ca_file names the file of a private certificate authority.")
		}
	}
}

// mail asks for the address of mails where there is a server for them, and refuses one that is none.
func (v *validation) mail() {
	c, name := v.config, "GATEHOUSE_MAIL_FROM"
	if c.MailFrom == "" {
		if !c.MailServers.IsZero() {
			v.refuse(name, "is missing", "Mail servers take no mail that is from nobody.", example(name))
		}
		return
	}
	if _, err := mail.ParseAddress(c.MailFrom); err != nil {
		v.refuse(name, "is not an address", "", example(name))
	}
}

// minPasswordMemory lets two hashes with the recommended 19 MiB run at a time.
const minPasswordMemory = 40 << 20

func (v *validation) rest() {
	c := v.config
	if c.PasswordMemory < minPasswordMemory {
		v.refuse("GATEHOUSE_PASSWORD_MEMORY", fmt.Sprintf("%d bytes are fewer than 40MiB", c.PasswordMemory),
			"One password hash takes about 19 MiB.", example("GATEHOUSE_PASSWORD_MEMORY"))
	}
	switch c.Worker {
	case "on", "off":
	default:
		v.refuse("GATEHOUSE_WORKER", fmt.Sprintf("%q is unknown", c.Worker), "", "Give on or off.")
	}
	switch c.LogFormat {
	case "json", "text", "auto":
	default:
		v.refuse("GATEHOUSE_LOG_FORMAT", fmt.Sprintf("%q is unknown", c.LogFormat), "", "Give json, text or auto.")
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"GATEHOUSE_SHUTDOWN_DELAY", c.ShutdownDelay},
		{"GATEHOUSE_DRAIN_TIMEOUT", c.DrainTimeout},
	} {
		if d.value < 0 || d.value > 10*time.Minute {
			v.refuse(d.name, fmt.Sprintf("%s is not between 0s and 10m", d.value), "", example(d.name))
		}
	}
}
