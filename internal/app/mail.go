package app

import (
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/templates"
)

// outboxSize is how many mails a development server keeps.
const outboxSize = 100

// nobody sends the mails of a process whose operator named no sender: one without mail servers.
const nobody = "gatehouse@localhost"

// makeMail makes what delivers messages. A development server without a mail server keeps its mails.
func (s *System) makeMail(p Process) (err error) {
	if p.Config.Mode == config.ModeDev && p.Config.MailServers.IsZero() {
		s.Outbox = capture.New(outboxSize)
	}
	senders, err := s.senders(p)
	if err != nil {
		return fmt.Errorf("prepare the mail servers of GATEHOUSE_SMTP_URL: %w", err)
	}
	s.mails = mail.NewChain(s.now, p.Log, senders...)
	address := p.Config.MailFrom
	if address == "" {
		address = nobody
	}
	d := &notify.Deliverer{Sender: s.mails, Now: s.now, Log: p.Log}
	if d.From, err = mail.ParseAddress(address); err != nil {
		return fmt.Errorf("read GATEHOUSE_MAIL_FROM: %w", err)
	}
	if d.Renderer, err = notify.NewRenderer(s.catalogue, templates.FS); err != nil {
		return err
	}
	if d.Metrics, err = notify.NewMetrics(s.Registry); err != nil {
		return err
	}
	s.Mail = d
	return nil
}
