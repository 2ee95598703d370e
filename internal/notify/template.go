package notify

import "fmt"

// Template names a mail: templates/mail/NAME.html and NAME.txt, with the texts "mail.NAME.…" of the catalogues.
type Template string

// The mails. Each comment names the Data and Secrets that the mail needs; "app", the name of the application that the
// person came from, may be left out everywhere and is the realm's name then.
const (
	// Verify asks to confirm an address: secrets code and link, data code_minutes (how long the code is valid; the link
	// is until the message expires).
	Verify Template = "verify"
	// VerifyLink asks the same where no page waits for a code: secret link.
	VerifyLink Template = "verify-link"
	// AlreadyRegistered answers a registration with an address that has an account: data signin and recover (addresses
	// of pages).
	AlreadyRegistered Template = "already-registered"
	// Code is a code to sign in with, and a link that does the same: secrets code and link, data code_minutes.
	Code Template = "code"
	// Reset lets somebody choose a new password: secrets code and link, data code_minutes.
	Reset Template = "reset"
	// PasswordChanged is the notice of it: data recover (address of the page to take the account back).
	PasswordChanged Template = "password-changed"
	// EmailChangedOld tells the address that an account had: data new (the new address, masked by the caller), recover.
	EmailChangedOld Template = "email-changed-old"
	// EmailChangedNew tells the address that an account has now.
	EmailChangedNew Template = "email-changed-new"
	// Invitation asks somebody to make an account: secret link.
	Invitation Template = "invitation"
	// AccountDisabled, AccountLocked and AccountDeleted say what an administrator did.
	AccountDisabled Template = "account-disabled"
	AccountLocked   Template = "account-locked"
	AccountDeleted  Template = "account-deleted"
	// SuspiciousAttempts tells of a sign-in after many that failed: data failures (how many), recover.
	SuspiciousAttempts Template = "suspicious-attempts"
	// PasswordExpiring reminds of it: data days (whole days that are left), signin.
	PasswordExpiring Template = "password-expiring"
)

// needs are the values that a mail cannot do without.
type needs struct{ data, secrets []string }

func (t Template) needs() (needs, bool) {
	n, known := map[Template]needs{
		Verify:             {[]string{"code_minutes"}, []string{"code", "link"}},
		VerifyLink:         {nil, []string{"link"}},
		AlreadyRegistered:  {[]string{"signin", "recover"}, nil},
		Code:               {[]string{"code_minutes"}, []string{"code", "link"}},
		Reset:              {[]string{"code_minutes"}, []string{"code", "link"}},
		PasswordChanged:    {[]string{"recover"}, nil},
		EmailChangedOld:    {[]string{"new", "recover"}, nil},
		EmailChangedNew:    {},
		Invitation:         {nil, []string{"link"}},
		AccountDisabled:    {},
		AccountLocked:      {},
		AccountDeleted:     {},
		PasswordExpiring:   {[]string{"days", "signin"}, nil},
		SuspiciousAttempts: {[]string{"failures", "recover"}, nil},
	}[t]
	return n, known
}

// Templates lists every mail.
func Templates() []Template {
	return []Template{
		Verify, AlreadyRegistered, Code, Reset, PasswordChanged, EmailChangedOld, EmailChangedNew, Invitation,
		AccountDisabled, AccountLocked, AccountDeleted, PasswordExpiring, VerifyLink, SuspiciousAttempts,
	}
}

// check refuses a message that could not be rendered, where the mistake is made and not in the worker.
func (t Template) check(m Message) error {
	n, known := t.needs()
	if !known {
		return fmt.Errorf("there is no mail %q", t)
	}
	for _, name := range n.data {
		if m.Data[name] == "" {
			return fmt.Errorf("mail %s: Data lacks %q", t, name)
		}
	}
	for _, name := range n.secrets {
		if m.Secrets[name] == "" {
			return fmt.Errorf("mail %s: Secrets lacks %q", t, name)
		}
	}
	return nil
}
