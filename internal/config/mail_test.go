package config_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

func TestMailServers(t *testing.T) {
	t.Parallel()
	password := config.NewSecret
	for given, want := range map[string][]config.MailServer{
		"smtps://u:p@mail.test":                {{Host: "mail.test", Port: 465, Security: config.MailImplicitTLS, User: "u", Password: password("p")}},
		"smtp://u%40x:p%2C%2F%3A@mail.test:25": {{Host: "mail.test", Port: 25, Security: config.MailStartTLS, User: "u@x", Password: password("p,/:")}},
		"smtp://mail.test?tls=none":            {{Host: "mail.test", Port: 587, Security: config.MailPlain}},
		"smtp://127.0.0.1:1025":                {{Host: "127.0.0.1", Port: 1025, Security: config.MailPlain}},
		"smtp://localhost?tls=required":        {{Host: "localhost", Port: 587, Security: config.MailStartTLS}},
		"smtps://[::1]:4465?ca_file=/etc/ca":   {{Host: "::1", Port: 4465, Security: config.MailImplicitTLS, CAFile: "/etc/ca"}},
		"smtps://a.test, smtp://b.test": {
			{Host: "a.test", Port: 465, Security: config.MailImplicitTLS}, {Host: "b.test", Port: 587, Security: config.MailStartTLS},
		},
	} {
		var servers config.MailServers
		require.NoError(t, servers.UnmarshalText([]byte(given)), given)
		require.Equal(t, want, servers.All(), given)
	}
	const secret = "hunter2"
	for given, says := range map[string]string{
		"mail.test:465":                             "does not begin with smtps://",
		"https://mail.test":                         "does not begin with smtps://",
		"smtps://":                                  "has no host",
		"smtps://user@mail.test":                    "a user without a password",
		"smtps://:hunter2@mail.test":                "a user without a password, or a password without a user",
		"smtps://u:hunter2@mail.test:0":             "has a port",
		"smtps://u:hunter2@mail.test/x":             "has a path",
		"smtps://u:hunter2@mail.test?tls=none":      "smtps:// is always TLS",
		"smtp://u:hunter2@mail.test?tls=none":       "would send its password without TLS",
		"smtp://u:hunter2@mail.test?tls=maybe":      "neither required nor none",
		"smtp://u:hunter2@mail.test?verify=no":      `has a parameter "verify" that is unknown`,
		"smtp://u:hunter2@mail.test, smtp://u:hun%": "server 2 is not a URL",
		"smtps://u:hun/ter2@mail.test":              "is not a URL",
	} {
		var servers config.MailServers
		err := servers.UnmarshalText([]byte(given))
		require.ErrorContains(t, err, says, given)
		require.NotContains(t, err.Error(), secret, given)
	}
}

func TestMailServers_print_as_the_mask(t *testing.T) {
	t.Parallel()
	c, err := config.Load(serving("GATEHOUSE_SMTP_URL=smtps://u:hunter2@mail.test", "GATEHOUSE_MAIL_FROM=Login <login@example.com>"),
		config.Options{Mode: config.ModeServe})
	require.NoError(t, err)
	require.Equal(t, "hunter2", c.MailServers.All()[0].Password.Reveal())
	printed := fmt.Sprintf("%v %+v %#v %s", c.MailServers, c.MailServers.All(), c.Settings(), c.MailServers)
	require.NotContains(t, printed, "hunter2")

	c, err = config.Load(serving("GATEHOUSE_SMTP_URL_FILE=/run/smtp", "GATEHOUSE_MAIL_FROM=login@example.com"), config.Options{
		Mode: config.ModeServe, ReadFile: files(map[string]string{"/run/smtp": "smtps://u:p@mail.test\n"}),
	})
	require.NoError(t, err)
	require.Equal(t, "mail.test", c.MailServers.All()[0].Host)
}
