// Package smtp sends mails by SMTP submission (RFC 6409, RFC 8314), with go-mail.
//
// Its servers are the operator's configuration, often inside their own network; the guard of package safehttp, which
// keeps addresses that others chose out of it, does not apply here. Each mail gets a connection of its own: mails of
// sign-ins are few, and a connection kept open is one more thing that can have died.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"os"
	"regexp"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/mail"
)

// Options of a Sender.
type Options struct {
	Server config.MailServer
	// Roots verify the server's certificate; nil takes the system's, or those of Server.CAFile.
	Roots *x509.CertPool
	// Timeout bounds one mail, from dialing to the server's last word. Zero is 20 seconds.
	Timeout time.Duration
}

// Sender sends by one server.
type Sender struct {
	o   Options
	tls *tls.Config
}

var _ mail.Sender = (*Sender)(nil)

const (
	defaultTimeout = 20 * time.Second
	quitTimeout    = 2 * time.Second
)

// New makes a sender. It reads Server.CAFile and does not connect.
func New(o Options) (*Sender, error) {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Roots == nil && o.Server.CAFile != "" {
		roots, err := readRoots(o.Server.CAFile)
		if err != nil {
			return nil, err
		}
		o.Roots = roots
	}
	return &Sender{o, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.Server.Host, RootCAs: o.Roots}}, nil
}

// Send implements mail.Sender.
func (s *Sender) Send(ctx context.Context, m mail.Message) error {
	if err := m.Check(); err != nil {
		return mail.Fail(mail.Permanent, "malformed", err)
	}
	message, err := encode(m)
	if err != nil {
		return mail.Fail(mail.Permanent, "malformed", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return s.unavailable(ctx, "dial", err)
	}
	defer func() { _ = conn.Close() }() // go-mail leaves a connection open whose greeting failed
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	client, err := s.client(m.From.Domain(), conn)
	if err != nil {
		return mail.Fail(mail.Unavailable, "unconfigured", err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return s.unavailable(ctx, "greet", err)
	}
	err = client.Send(message)
	if message.IsDelivered() {
		quit := time.AfterFunc(quitTimeout, func() { _ = conn.Close() })
		defer quit.Stop()
		_ = client.Close() // the mail is taken, whatever becomes of the farewell
		return nil
	}
	return s.refused(ctx, err)
}

// dial connects, at once under TLS where the server wants it so.
func (s *Sender) dial(ctx context.Context) (net.Conn, error) {
	address := s.o.Server.Address()
	if s.o.Server.Security == config.MailImplicitTLS {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

// client is go-mail's, over a connection that stands. It says hello by the domain of the mail's sender: the name of the
// machine is nobody's business and often no name that servers accept.
func (s *Sender) client(hello string, conn net.Conn) (*gomail.Client, error) {
	server := s.o.Server
	policy := gomail.TLSMandatory
	if server.Security != config.MailStartTLS {
		policy = gomail.NoTLS // there is none, or it stands already
	}
	options := []gomail.Option{
		// go-mail's own timeout hides what it is in the error; ours ends first.
		gomail.WithPort(server.Port), gomail.WithTimeout(2 * s.o.Timeout), gomail.WithHELO(hello), gomail.WithTLSConfig(s.tls),
		gomail.WithTLSPolicy(policy), gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return conn, nil }),
	}
	if server.User != "" {
		options = append(options, gomail.WithUsername(server.User), gomail.WithPassword(server.Password.Reveal()),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	client, err := gomail.NewClient(server.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare an SMTP client: %w", err)
	}
	return client, nil
}

// encode lets go-mail write every header (ID-02).
func encode(m mail.Message) (*gomail.Msg, error) {
	out := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	out.FromMailAddress(address(m.From))
	out.ToMailAddress(address(m.To))
	if m.ReplyTo.Mailbox != "" {
		out.ReplyToMailAddress(address(m.ReplyTo))
	}
	out.Subject(m.Subject)
	out.SetMessageIDWithValue(m.ID)
	out.SetDateWithValue(m.Date)
	out.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: vacation notes do not answer
	out.SetBodyString(gomail.TypeTextPlain, m.Text)
	out.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	if _, err := out.GetSender(false); err != nil {
		return nil, errors.New("the sender's address cannot be written")
	}
	if _, err := out.GetRecipients(); err != nil {
		return nil, errors.New("the recipient's address cannot be written")
	}
	return out, nil
}

func address(a mail.Address) *netmail.Address {
	return &netmail.Address{Name: a.Name, Address: a.Mailbox}
}

// unavailable is a failure before any mail was offered: it says nothing about the mail.
func (s *Sender) unavailable(ctx context.Context, doing string, err error) error {
	code := "unreachable"
	var reply *textproto.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case timedOut(ctx, err):
		code = "timeout"
	case errors.As(err, &certificate) || errors.As(err, &record):
		code = "tls"
	case errors.As(err, &reply) && (reply.Code == 530 || reply.Code == 534 || reply.Code == 535 || reply.Code == 538):
		code = "auth" // RFC 4954 §6
	case doing != "dial":
		code = "broken"
	}
	return mail.Fail(mail.Unavailable, code, s.cause(doing, err))
}

// refused is a failure while the mail was offered. A server that answered means this mail, one that did not is away;
// one that does not accept our own address means us, and no other mail would fare better.
func (s *Sender) refused(ctx context.Context, err error) error {
	sent, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return s.unavailable(ctx, "send", err)
	}
	cause := s.cause(sent.Reason.String(), err)
	switch code := sent.ErrorCode(); {
	case code == 0 && timedOut(ctx, err):
		return mail.Fail(mail.Unavailable, "timeout", cause)
	case code == 0 || code == 421: // RFC 5321 §3.8: it is closing the connection
		return mail.Fail(mail.Unavailable, "broken", cause)
	case code == 530:
		return mail.Fail(mail.Unavailable, "auth", cause)
	case code >= 500 && sent.Reason == gomail.ErrSMTPMailFrom:
		return mail.Fail(mail.Unavailable, "sender_refused", cause)
	case code >= 500:
		return mail.Fail(mail.Permanent, "refused", cause)
	}
	return mail.Fail(mail.Temporary, "deferred", cause)
}

func timedOut(ctx context.Context, err error) bool {
	var network net.Error
	return ctx.Err() != nil || errors.As(err, &network) && network.Timeout()
}

// cause is what the log may hold: servers repeat addresses in their refusals, people's among them.
func (s *Sender) cause(doing string, err error) error {
	text := regexp.MustCompile(`\S*@\S*`).ReplaceAllString(err.Error(), "[address]")
	const most = 300
	return fmt.Errorf("%s at %s: %.*s", doing, s.o.Server.Address(), most, text)
}

func readRoots(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the certificates of the mail server: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return roots, nil
}
