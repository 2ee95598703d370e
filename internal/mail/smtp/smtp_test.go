package smtp_test

import (
	"fmt"
	"mime"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/mailtest"
	"github.com/gatehouse-id/gatehouse/internal/mail/smtp"
)

// sender is one for the server, by a URL whose %s is its host and port.
func sender(t *testing.T, server *mailtest.Server, url string) *smtp.Sender {
	t.Helper()
	s, err := smtp.New(smtp.Options{
		Server: target(t, server, url), Roots: server.Roots, Timeout: 5 * time.Second,
	})
	require.NoError(t, err)
	return s
}

func target(t *testing.T, server *mailtest.Server, url string) config.MailServer {
	t.Helper()
	var servers config.MailServers
	require.NoError(t, servers.UnmarshalText(fmt.Appendf(nil, url, fmt.Sprintf("%s:%d", server.Host, server.Port))))
	return servers.All()[0]
}

const plain = "smtp://%s"

func TestSender(t *testing.T) {
	t.Parallel()
	mailtest.Run(t, func(t *testing.T) (mail.Sender, func() []mailtest.Received) {
		t.Helper()
		server := mailtest.NewServer(t, mailtest.ServerOptions{})
		return sender(t, server, plain), func() (list []mailtest.Received) {
			for _, m := range server.Taken() {
				parsed, err := netmail.ReadMessage(strings.NewReader(m.Data))
				require.NoError(t, err)
				list = append(list, mailtest.Received{To: m.To, ID: strings.Trim(parsed.Header.Get("Message-ID"), "<>")})
			}
			return list
		}
	})
}

func TestSender_writes_these_headers_and_no_others(t *testing.T) {
	t.Parallel()
	server := mailtest.NewServer(t, mailtest.ServerOptions{})
	m := mailtest.Message()
	m.ReplyTo = mail.Address{Mailbox: "help@example.com"}
	require.NoError(t, sender(t, server, plain).Send(t.Context(), m))
	taken := server.Taken()[0]
	require.Equal(t, "example.com", taken.Hello, "not the machine's name")
	require.Equal(t, "login@example.com", taken.From)

	parsed, err := netmail.ReadMessage(strings.NewReader(taken.Data))
	require.NoError(t, err)
	var names []string
	for name := range parsed.Header {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Reply-To", "Subject", "To"}, names)
	require.Equal(t, "auto-generated", parsed.Header.Get("Auto-Submitted"))
	require.Equal(t, "Sun, 01 Mar 2026 12:30:00 +0000", parsed.Header.Get("Date"))
	from, err := parsed.Header.AddressList("From")
	require.NoError(t, err)
	require.Equal(t, `Ätna "Login"`, from[0].Name)
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, m.Subject, subject)
}

func TestSender_protects_the_connection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		server mailtest.ServerOptions
		url    string
		roots  bool
		code   string // "" is taken under TLS
	}{
		{"implicit TLS", mailtest.ServerOptions{Implicit: true}, "smtps://%s", true, ""},
		{"implicit TLS with credentials", mailtest.ServerOptions{Implicit: true, User: "u", Password: "p@:/ "}, "smtps://u:p%%40%%3A%%2F%%20@%s", true, ""},
		{"STARTTLS", mailtest.ServerOptions{StartTLS: true}, "smtp://%s?tls=required", true, ""},
		{"STARTTLS with credentials", mailtest.ServerOptions{StartTLS: true, User: "u", Password: "p"}, "smtp://u:p@%s?tls=required", true, ""},
		{"STARTTLS that is not offered", mailtest.ServerOptions{}, "smtp://%s?tls=required", true, "broken"},
		{"a certificate that nobody knows", mailtest.ServerOptions{Implicit: true}, "smtps://%s", false, "tls"},
		{"STARTTLS with a certificate that nobody knows", mailtest.ServerOptions{StartTLS: true}, "smtp://%s?tls=required", false, "tls"},
		{"a server without TLS", mailtest.ServerOptions{}, "smtps://%s", true, "tls"},
		{"wrong credentials", mailtest.ServerOptions{Implicit: true, User: "u", Password: "p"}, "smtps://u:x@%s", true, "auth"},
		{"no credentials", mailtest.ServerOptions{Implicit: true, User: "u", Password: "p"}, "smtps://%s", true, "auth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.NewServer(t, c.server)
			o := smtp.Options{Server: target(t, server, c.url), Timeout: 5 * time.Second}
			if c.roots {
				o.Roots = server.Roots
			}
			s, err := smtp.New(o)
			require.NoError(t, err)
			err = s.Send(t.Context(), mailtest.Message())
			if c.code == "" {
				require.NoError(t, err)
				require.Len(t, server.Taken(), 1)
				require.True(t, server.Taken()[0].TLS)
				return
			}
			require.Error(t, err)
			require.Equal(t, c.code, mail.Cause(err).Code, "%v", err)
			require.Equal(t, mail.Unavailable, mail.Cause(err).Kind)
			require.Empty(t, server.Taken())
		})
	}
}

func TestSender_tells_what_a_failure_means(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		does  mailtest.Behaviour
		kind  mail.Kind
		code  string
		taken int
	}{
		{"hangs", mailtest.Hang, mail.Unavailable, "timeout", 0},
		{"hangs after the content", mailtest.HangAfterData, mail.Unavailable, "timeout", 0},
		{"closes", mailtest.Close, mail.Unavailable, "broken", 0},
		{"dies in the middle", mailtest.DieInData, mail.Unavailable, "broken", 0},
		{"dies before it says that it took the mail", mailtest.DieAfterTaking, mail.Unavailable, "broken", 1},
		{"greylists", mailtest.Greylist, mail.Temporary, "deferred", 0},
		{"is busy", mailtest.Busy, mail.Unavailable, "broken", 0},
		{"refuses our address", mailtest.RefuseSender, mail.Unavailable, "sender_refused", 0},
		{"refuses the recipient", mailtest.RefuseRecipient, mail.Permanent, "refused", 0},
		{"refuses the content", mailtest.RefuseContent, mail.Permanent, "refused", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.NewServer(t, mailtest.ServerOptions{})
			server.Next(c.does)
			s, err := smtp.New(smtp.Options{Server: target(t, server, plain), Timeout: 500 * time.Millisecond})
			require.NoError(t, err)
			err = s.Send(t.Context(), mailtest.Message())
			require.Error(t, err)
			cause := mail.Cause(err)
			require.Equal(t, c.kind, cause.Kind, "%v", err)
			require.Equal(t, c.code, cause.Code, "%v", err)
			require.NotContains(t, err.Error(), "ana@", "a refusal repeats the address; the log may not")
			require.Len(t, server.Taken(), c.taken)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s, err := smtp.New(smtp.Options{Server: config.MailServer{Host: "127.0.0.1", Port: 1, Security: config.MailPlain}})
		require.NoError(t, err)
		cause := mail.Cause(s.Send(t.Context(), mailtest.Message()))
		require.Equal(t, mail.Unavailable, cause.Kind)
		require.Equal(t, "unreachable", cause.Code)
	})
}

func TestSender_does_not_fail_for_a_bad_farewell(t *testing.T) {
	t.Parallel()
	server := mailtest.NewServer(t, mailtest.ServerOptions{})
	server.Next(mailtest.DieAtFarewell)
	require.NoError(t, sender(t, server, plain).Send(t.Context(), mailtest.Message()), "it was taken; sending it again would send it twice")
	require.Len(t, server.Taken(), 1)
}
