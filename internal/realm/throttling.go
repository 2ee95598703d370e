package realm

import (
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/limit"
)

// Throttling is what wrong guesses cost and how many mails strangers may ask for. Every figure has bounds, so that no
// realm can switch a limit off; package attempt says what those of guesses mean.
type Throttling struct {
	// Passwords and Codes are wrong passwords and wrong mailed codes, each with counters of their own (LG-05).
	Passwords Guesses `json:"passwords,omitzero" yaml:"passwords,omitempty"`
	Codes     Guesses `json:"codes,omitzero" yaml:"codes,omitempty"`
	// Mails are those that people ask for. Each purpose has such a budget of its own (RS-07).
	Mails Mails `json:"mails,omitzero" yaml:"mails,omitempty"`
	// Registrations are new accounts that are asked for from one client address.
	Registrations Budget `json:"registrations,omitzero" yaml:"registrations,omitempty"`
}

// Guesses are the failures at one kind of secret.
type Guesses struct {
	// Account is of one account, and of that account from one address: 5 free, 1s to 15m, from the 100th on 12h,
	// forgotten after 1d.
	Account AccountFailures `json:"account,omitzero" yaml:"account,omitempty"`
	// Address is of one client address, whatever the account: 50 free, 1s to 15m, one forgotten every 12s.
	Address AddressFailures `json:"address,omitzero" yaml:"address,omitempty"`
}

// AccountFailures are consecutive failures; one success forgets them.
type AccountFailures struct {
	// Free failures cost nothing. FirstDelay is then doubled by each further one, up to LongestDelay.
	Free         int      `json:"free,omitempty" yaml:"free,omitempty"`
	FirstDelay   Duration `json:"first_delay,omitempty" yaml:"first_delay,omitempty"`
	LongestDelay Duration `json:"longest_delay,omitempty" yaml:"longest_delay,omitempty"`
	// HardLimit is the failure from which on the delay is HardDelay: at most the 100th (NIST SP 800-63B-4 §3.2.2).
	HardLimit int      `json:"hard_limit,omitempty" yaml:"hard_limit,omitempty"`
	HardDelay Duration `json:"hard_delay,omitempty" yaml:"hard_delay,omitempty"`
	// ForgetAfter the last failure all are forgotten; longer than every delay.
	ForgetAfter Duration `json:"forget_after,omitempty" yaml:"forget_after,omitempty"`
}

// AddressFailures are failures that no success forgets, only time.
type AddressFailures struct {
	// Free failures cost nothing. FirstDelay is then doubled by each further one, up to LongestDelay.
	Free         int      `json:"free,omitempty" yaml:"free,omitempty"`
	FirstDelay   Duration `json:"first_delay,omitempty" yaml:"first_delay,omitempty"`
	LongestDelay Duration `json:"longest_delay,omitempty" yaml:"longest_delay,omitempty"`
	// ForgetOne is how long it takes to forget one failure.
	ForgetOne Duration `json:"forget_one,omitempty" yaml:"forget_one,omitempty"`
	// ForgetAfter the last failure all are forgotten; longer than every delay.
	ForgetAfter Duration `json:"forget_after,omitempty" yaml:"forget_after,omitempty"`
}

// Mails are the budgets of mails for one purpose.
type Mails struct {
	// ToAddress is to one person, by whatever name: 5 at once, one more every 5m.
	ToAddress Budget `json:"to_address,omitzero" yaml:"to_address,omitempty"`
	// FromAddress is what one client address may ask for: 30 at once, one more every 20s.
	FromAddress Budget `json:"from_address,omitzero" yaml:"from_address,omitempty"`
}

// Budget allows AtOnce events and one more each Every.
type Budget struct {
	AtOnce int      `json:"at_once,omitempty" yaml:"at_once,omitempty"`
	Every  Duration `json:"every,omitempty" yaml:"every,omitempty"`
}

// Rate is the budget as package limit spends it.
func (b Budget) Rate() limit.Rate { return limit.Rate{Burst: b.AtOnce, Every: time.Duration(b.Every)} }

// count is the bounds of a number.
type count struct {
	name                  string
	value                 *int
	standard, least, most int
}

// The hundredth consecutive failure is the bound of NIST SP 800-63B-4 §3.2.2.
func (g *Guesses) counts(path string) []count {
	return []count{
		{path + ".account.free", &g.Account.Free, 5, 1, 20},
		{path + ".account.hard_limit", &g.Account.HardLimit, 100, 2, 100},
		{path + ".address.free", &g.Address.Free, 50, 5, 1000},
	}
}

func (g *Guesses) durations(path string) []lifetime {
	return []lifetime{
		{path + ".account.first_delay", &g.Account.FirstDelay, time.Second, time.Second, time.Hour},
		{path + ".account.longest_delay", &g.Account.LongestDelay, 15 * time.Minute, time.Minute, 12 * time.Hour},
		{path + ".account.hard_delay", &g.Account.HardDelay, 12 * time.Hour, time.Hour, 7 * day},
		{path + ".account.forget_after", &g.Account.ForgetAfter, day, 12 * time.Hour, 30 * day},
		{path + ".address.first_delay", &g.Address.FirstDelay, time.Second, time.Second, time.Hour},
		{path + ".address.longest_delay", &g.Address.LongestDelay, 15 * time.Minute, time.Minute, 12 * time.Hour},
		{path + ".address.forget_one", &g.Address.ForgetOne, 12 * time.Second, time.Second, time.Hour},
		{path + ".address.forget_after", &g.Address.ForgetAfter, day, time.Hour, 30 * day},
	}
}

func (t *Throttling) counts() []count {
	own := []count{
		{"mails.to_address.at_once", &t.Mails.ToAddress.AtOnce, 5, 1, 20},
		{"mails.from_address.at_once", &t.Mails.FromAddress.AtOnce, 30, 1, 1000},
		{"registrations.at_once", &t.Registrations.AtOnce, 30, 1, 1000},
	}
	return append(append(t.Passwords.counts("passwords"), t.Codes.counts("codes")...), own...)
}

func (t *Throttling) durations() []lifetime {
	own := []lifetime{
		{"mails.to_address.every", &t.Mails.ToAddress.Every, 5 * time.Minute, time.Minute, day},
		{"mails.from_address.every", &t.Mails.FromAddress.Every, 20 * time.Second, time.Second, time.Hour},
		{"registrations.every", &t.Registrations.Every, 20 * time.Second, time.Second, time.Hour},
	}
	return append(append(t.Passwords.durations("passwords"), t.Codes.durations("codes")...), own...)
}

func (t Throttling) withDefaults() Throttling {
	for _, c := range t.counts() {
		if *c.value == 0 {
			*c.value = c.standard
		}
	}
	for _, d := range t.durations() {
		if *d.value == 0 {
			*d.value = Duration(d.standard)
		}
	}
	return t
}

func (t Throttling) check() []string {
	t = t.withDefaults()
	var wrong []string
	for _, c := range t.counts() {
		if v := *c.value; v < c.least || v > c.most {
			wrong = append(wrong, fmt.Sprintf("throttling.%s is %d; allowed are %d to %d", c.name, v, c.least, c.most))
		}
	}
	for _, d := range t.durations() {
		if v := time.Duration(*d.value); v < d.smallest || v > d.longer {
			wrong = append(wrong, fmt.Sprintf("throttling.%s is %s; allowed are %s to %s", d.name, *d.value, Duration(d.smallest), Duration(d.longer)))
		}
	}
	return append(append(wrong, t.Passwords.fit("passwords")...), t.Codes.fit("codes")...)
}

// fit says which figures do not go together.
func (g Guesses) fit(path string) []string {
	var wrong []string
	less := func(small, large string, ok bool) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf("throttling.%s.%s must be less than %s", path, small, large))
		}
	}
	a, from := g.Account, g.Address
	less("account.free", "hard_limit", a.Free < a.HardLimit)
	less("account.first_delay", "longest_delay", a.FirstDelay < a.LongestDelay)
	less("account.longest_delay", "forget_after", a.LongestDelay < a.ForgetAfter)
	less("account.hard_delay", "forget_after", a.HardDelay < a.ForgetAfter)
	less("address.first_delay", "longest_delay", from.FirstDelay < from.LongestDelay)
	less("address.longest_delay", "forget_after", from.LongestDelay < from.ForgetAfter)
	return wrong
}
