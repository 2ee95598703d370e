package app

import (
	"crypto/rand"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/flow/consent"
	"github.com/gatehouse-id/gatehouse/internal/flow/emailcode"
	"github.com/gatehouse-id/gatehouse/internal/flow/firstfactor"
	"github.com/gatehouse-id/gatehouse/internal/flow/invitation"
	"github.com/gatehouse-id/gatehouse/internal/flow/newpassword"
	"github.com/gatehouse-id/gatehouse/internal/flow/profile"
	"github.com/gatehouse-id/gatehouse/internal/flow/recovery"
	"github.com/gatehouse-id/gatehouse/internal/flow/selectaccount"
	"github.com/gatehouse-id/gatehouse/internal/flow/signup"
	"github.com/gatehouse-id/gatehouse/internal/flow/verifyemail"
	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/smtp"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/worker"
)

// steps are the ordered lists of what the login flow asks for: who is there, and what that person must still do. A
// new step is a package and a line.
func (s *System) steps() (authenticate, require []flow.Step) {
	codes := flow.Codes{Mailer: s.mailer, Guard: s.guard, Now: s.now}
	chooser := flow.Chooser{Hasher: s.Hasher, Passwords: s.Passwords}
	authenticate = []flow.Step{
		selectaccount.Step{Now: s.now},
		recovery.Step{Codes: codes},
		invitation.Step{Users: s.Users, Now: s.now, Random: rand.Reader},
		signup.Step{Chooser: chooser, Mailer: s.mailer, Now: s.now},
		emailcode.Step{Codes: codes, Users: s.Users, Random: rand.Reader},
		firstfactor.Step{Hasher: s.Hasher, Guard: s.guard, Now: s.now, Random: rand.Reader},
		verifyemail.Step{Codes: codes, Users: s.Users, Random: rand.Reader},
		newpassword.Step{Chooser: chooser, Guard: s.guard, Now: s.now, Random: rand.Reader},
	}
	require = []flow.Step{
		profile.Step{Users: s.Users, Now: s.now},
		consent.Step{Now: s.now},
	}
	return authenticate, require
}

// senders are the ways by which mails leave, in the order in which they are tried. A new kind is a package and a line.
func (s *System) senders(p Process) (list []mail.Named, err error) {
	if s.Outbox != nil {
		list = append(list, mail.Named{Name: "outbox", Sender: s.Outbox})
	}
	for _, server := range p.Config.MailServers.All() {
		sender, err := smtp.New(smtp.Options{Server: server})
		if err != nil {
			return nil, err
		}
		list = append(list, mail.Named{Name: server.Address(), Sender: sender})
	}
	return list, nil
}

// consumers read the event log, each at its own pace. A new one is a type and a line.
func (s *System) consumers() ([]event.Consumer, error) {
	counter, err := event.NewCounter(s.Registry)
	if err != nil {
		return nil, err
	}
	return []event.Consumer{counter, notify.Attempts{Now: s.now}}, nil
}

// backgroundWork is what the queue is for: the kinds of jobs with the queues that they wait in, and what is done periodically. A new
// kind is a line here; worker.In brings its handler into the job's realm.
func (s *System) backgroundWork() jobs.Options {
	return jobs.Options{
		Kinds: map[string]jobs.Kind{
			registration: {Handle: worker.In(s.Realms, s.makeAccount)},
			notify.Kind:  {Handle: worker.In(s.Realms, s.Mail.Deliver), MaxAttempts: notify.MaxTries, Timeout: notify.Timeout},
		},
		Queues:   map[string]int{notify.Queue: 8, registration: 2},
		Periodic: worker.Housekeeping{Realms: s.Realms, Keys: s.Keys, Now: s.now}.Periodic(),
	}
}
