package realmfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Applier makes realms be as files say. It is safe for concurrent use.
type Applier struct{ o Options }

// Options of an Applier; all are needed.
type Options struct {
	Realms  *realm.Directory
	Clients *client.Store
	Users   *user.Store
	Keys    *keyset.Store
	Hasher  *password.Hasher
	// Catalogue judges the realm's own texts and its language.
	Catalogue *i18n.Catalogue
	Now       func() time.Time
	// Random is the source of generated passwords.
	Random io.Reader
}

// New makes an Applier.
func New(o Options) *Applier { return &Applier{o} }

// ApplyOptions say how a file is applied.
type ApplyOptions struct {
	// DryRun does everything and undoes it, so that the report is what would happen.
	DryRun bool
	// Prune deletes applications that the file's list lacks, and secrets that an application's list lacks. Lists that
	// the file does not have are not touched.
	Prune bool
}

var (
	// errDryRun rolls a transaction back that did what it should.
	errDryRun = errors.New("dry run")
	// errRaced says that what was read before the transaction changed until it.
	errRaced = errors.New("the realm is being changed by somebody else")
)

// attempts bounds how often a lost race is run again.
const attempts = 3

// Apply makes the realm be as the file says, in one transaction: everything or nothing. Errors are InvalidError for
// what only the database could tell about the file, password.ErrBusy, and those of the database.
func (a *Applier) Apply(ctx context.Context, f File, o ApplyOptions) (report Report, err error) {
	for range attempts {
		report, err = a.attempt(ctx, f, o)
		if !errors.Is(err, errRaced) && !postgres.UniqueViolation(err, "realms_slug_key") {
			break
		}
	}
	if err != nil {
		return Report{}, fmt.Errorf("apply %s to realm %s: %w", f.name, f.Realm(), err)
	}
	return report, nil
}

// run is one application of one file.
type run struct {
	Options
	f          File
	o          ApplyOptions
	passwords  []credential  // one for each person of the file
	isNew      bool          // the realm is being made
	demands    policy.Policy // on new passwords
	weakHashes bool          // may be brought along
	found      *issues
	report     Report
}

func (a *Applier) attempt(ctx context.Context, f File, o ApplyOptions) (Report, error) {
	r, err := a.o.Realms.BySlug(ctx, f.Realm())
	isNew := errors.Is(err, realm.ErrUnknown)
	if err != nil && !isNew {
		return Report{}, err
	}
	w := &run{Options: a.o, f: f, o: o, isNew: isNew, found: &issues{file: f.name}, report: Report{Realm: f.Realm(), DryRun: o.DryRun}}
	for i := range f.doc.given.Users {
		c, err := w.prepare(ctx, r, &f.doc.given.Users[i])
		if err != nil {
			return Report{}, err
		}
		w.passwords = append(w.passwords, c)
	}
	if isNew {
		err = w.create(ctx)
	} else {
		err = w.change(ctx, r)
	}
	if err != nil && !errors.Is(err, errDryRun) {
		return Report{}, w.explain(err)
	}
	return w.report, nil
}

// explain turns violations that could not be seen coming into issues of the file.
func (w *run) explain(err error) error {
	if postgres.UniqueViolation(err, "realm_hosts_pkey") {
		at, path := w.f.doc.at("hosts")
		w.found.add(at, path, "", "one of the hosts belongs to another realm")
		return w.found.err()
	}
	return err
}

func (w *run) create(ctx context.Context) error {
	n := w.f.doc.given.wanted(w.f.Realm())
	n.Settings = tidy(n.Settings)
	w.checkTexts(n.Settings)
	if err := w.found.err(); err != nil {
		return err
	}
	_, err := w.Realms.Create(ctx, n, func(tx realm.Tx) error {
		if err := event.Record(ctx, tx, event.RealmCreated{Slug: n.Slug}, w.Now()); err != nil {
			return err
		}
		w.report.note(KindRealm, n.Slug, Created)
		return w.fill(ctx, tx, n.Settings)
	})
	return err
}

func (w *run) change(ctx context.Context, r realm.Realm) error {
	var hosts []string
	err := r.InTx(ctx, func(tx realm.Tx) error {
		stored, err := realm.Stored(ctx, tx)
		if err != nil {
			return err
		}
		before := document{Realm: stored.Slug, Name: stored.Name, Hosts: stored.Hosts, Settings: stored.Settings, Flags: stored.Flags}
		after := w.f.doc.over(before)
		n := after.wanted(stored.Slug)
		n.Settings = tidy(n.Settings)
		after.Name, after.Settings = n.Name, n.Settings
		after.Keys, after.Applications, after.Users = before.Keys, nil, nil // these are not the realm's row
		if fields := changed(before, after); len(fields) > 0 {
			if err := w.update(ctx, tx, n, fields); err != nil {
				return err
			}
		}
		hosts = slices.Concat(stored.Hosts, n.Hosts)
		return w.fill(ctx, tx, n.Settings)
	})
	if len(w.report.Changes) > 0 {
		facts := *r.Facts
		facts.Hosts = hosts // that the new ones were unknown is also forgotten
		w.Realms.Forget(realm.Realm{Rows: r.Rows, Facts: &facts})
	}
	return err
}

// update writes the realm's row, unless it would not do.
func (w *run) update(ctx context.Context, tx realm.Tx, n realm.New, fields []string) error {
	before := len(w.found.list)
	checkRealm(&w.f.doc, n, w.found)
	w.checkTexts(n.Settings)
	if len(w.found.list) > before {
		return nil
	}
	now := w.Now()
	if err := realm.Update(ctx, tx, n, now); err != nil {
		return err
	}
	w.report.note(KindRealm, n.Slug, Updated, fields...)
	return event.Record(ctx, tx, event.RealmUpdated{Changed: fields}, now)
}

// tidy drops overriding texts that were emptied.
func tidy(s realm.Settings) realm.Settings {
	kept := map[string]realm.Text{}
	for locale, texts := range s.Texts {
		for key, text := range texts {
			if text == "" {
				continue
			}
			if kept[locale] == nil {
				kept[locale] = realm.Text{}
			}
			kept[locale][key] = text
		}
	}
	s.Texts = kept
	return s
}

// checkTexts asks the catalogue whether it has what the file's settings change.
func (w *run) checkTexts(s realm.Settings) {
	if w.f.doc.has("settings") {
		w.checkLocale(s.Locale)
	}
	texts := map[string]map[string]string{}
	for locale, text := range s.Texts {
		texts[locale] = text
	}
	if _, err := w.Catalogue.WithOverrides(texts); err != nil {
		at, path := w.f.doc.at("settings")
		if below := member(at, "texts"); below != nil {
			at, path = below, join(path, "texts")
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			w.found.add(at, path, "", "%s", line)
		}
	}
}

func (w *run) checkLocale(locale string) {
	var have []string
	for _, l := range w.Catalogue.Locales() {
		have = append(have, l.Tag())
	}
	if locale != "" && !slices.Contains(have, locale) {
		at, path := w.f.doc.at("settings")
		w.found.addAll(at, path, []string{fmt.Sprintf("locale is %q; there are %q", locale, have)})
	}
}

// fill makes what is in the realm. Everything that is wrong is collected before anything is given up.
func (w *run) fill(ctx context.Context, tx realm.Tx, s realm.Settings) error {
	w.demands, w.weakHashes = policy.New(s.Password, w.f.Realm()), s.Password.AcceptWeakHashes
	if err := w.keys(ctx, tx); err != nil {
		return err
	}
	d := &w.f.doc.given
	for i := range d.Applications {
		if err := w.application(ctx, tx, &d.Applications[i]); err != nil {
			return err
		}
	}
	if w.o.Prune && w.f.doc.has("applications") {
		if err := w.prune(ctx, tx); err != nil {
			return err
		}
	}
	for i := range d.Users {
		if err := w.person(ctx, tx, &d.Users[i], w.passwords[i]); err != nil {
			return err
		}
	}
	if err := w.found.err(); err != nil {
		return err
	}
	if w.o.DryRun {
		return errDryRun
	}
	return nil
}

// keys makes the signing keys that are missing: those that the file lists and those that its settings and applications
// ask for, so that they are published before the first signature. A realm that is being made gets one in any case: it
// could not issue a token without.
func (w *run) keys(ctx context.Context, tx realm.Tx) error {
	d := &w.f.doc.given
	wanted := slices.Clone(d.Keys.Algorithms)
	if w.isNew && len(wanted) == 0 {
		wanted = []string{keyset.ES256}
	}
	wanted = append(wanted, d.Settings.SigningAlg)
	for _, a := range d.Applications {
		wanted = append(wanted, a.given.IDTokenSignedResponseAlg, a.given.UserinfoSignedResponseAlg)
	}
	wanted = slices.DeleteFunc(wanted, func(alg string) bool { return alg == "" })
	if len(wanted) == 0 {
		return nil
	}
	have, err := w.Keys.Algorithms(ctx, tx)
	if err != nil {
		return err
	}
	for _, alg := range wanted {
		if slices.Contains(have, alg) {
			continue
		}
		if _, err := w.Keys.Make(ctx, tx, alg); err != nil {
			return err
		}
		have = append(have, alg)
		w.report.note(KindKey, alg, Created)
	}
	return nil
}
