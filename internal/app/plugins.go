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
	"github.com/gatehouse-id/gatehouse/internal/flow/recover"
	"github.com/gatehouse-id/gatehouse/internal/flow/selectaccount"
	"github.com/gatehouse-id/gatehouse/internal/flow/signup"
	"github.com/gatehouse-id/gatehouse/internal/flow/verifyemail"
)

// steps are the ordered lists of what the login flow asks for: who is there, and what that person must still do. A
// new step is a package and a line.
func (s *System) steps() (authenticate, require []flow.Step) {
	codes := flow.Codes{Mailer: s.mailer, Failures: s.codeFailures, Now: s.now}
	chooser := flow.Chooser{Hasher: s.Hasher}
	authenticate = []flow.Step{
		selectaccount.Step{},
		recover.Step{Codes: codes},
		invitation.Step{Users: s.Users, Now: s.now, Random: rand.Reader},
		signup.Step{Chooser: chooser, Mailer: s.mailer, Unproved: registerSoon, Now: s.now},
		emailcode.Step{Codes: codes, Users: s.Users, Random: rand.Reader},
		firstfactor.Step{Hasher: s.Hasher, Failures: s.failures, Now: s.now, Random: rand.Reader},
		verifyemail.Step{Codes: codes, Users: s.Users, Random: rand.Reader},
		newpassword.Step{Chooser: chooser, Users: s.Users, Failures: s.failures, Now: s.now},
	}
	require = []flow.Step{
		profile.Step{Users: s.Users, Now: s.now},
		consent.Step{Now: s.now},
	}
	return authenticate, require
}

// consumers read the event log, each at its own pace. A new one is a type and a line.
func (s *System) consumers() ([]event.Consumer, error) {
	counter, err := event.NewCounter(s.Registry)
	if err != nil {
		return nil, err
	}
	return []event.Consumer{counter}, nil
}
