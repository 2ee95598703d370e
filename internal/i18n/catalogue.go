// Package i18n turns message keys into the words that people read: catalogues,
// the choice of a language, and a realm's own wording laid over ours.
//
// A catalogue is one flat JSON file per language, a key to a text or to the
// plural forms of one. A text may hold placeholders, written {{.name}}, and
// nothing else of Go's templates: texts are also written by a realm's
// administrators, who must not be able to run anything. The count of a plural is
// the placeholder n. English is complete by definition; tests prove that the
// other catalogues have its keys and its placeholders.
//
// Texts come out as plain text. Whoever puts them into HTML escapes them, which
// html/template does by itself.
package i18n

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// Catalogue holds all languages. It is immutable and safe for concurrent use.
type Catalogue struct {
	tags       []language.Tag // English first
	matcher    language.Matcher
	messages   map[language.Tag]map[string]*goi18n.Message
	localizers map[language.Tag]*goi18n.Localizer
	overrides  map[language.Tag]overlay
	missing    func(locale, key string)
}

// New reads locales/<language tag>.json for every language in fsys. English must
// be among them.
func New(fsys fs.FS) (*Catalogue, error) {
	names, err := fs.Glob(fsys, "locales/*.json")
	if err != nil {
		return nil, fmt.Errorf("list catalogues: %w", err)
	}
	c := &Catalogue{
		tags:       []language.Tag{language.English},
		messages:   map[language.Tag]map[string]*goi18n.Message{},
		localizers: map[language.Tag]*goi18n.Localizer{},
		missing:    func(string, string) {},
	}
	bundle := goi18n.NewBundle(language.English)
	for _, name := range names {
		if err := c.read(bundle, fsys, name); err != nil {
			return nil, fmt.Errorf("read catalogue %s: %w", name, err)
		}
	}
	if len(c.messages[language.English]) == 0 {
		return nil, errors.New("no English catalogue: locales/en.json is missing or empty")
	}
	for _, tag := range c.tags {
		c.localizers[tag] = goi18n.NewLocalizer(bundle, tag.String())
	}
	c.matcher = language.NewMatcher(c.tags)
	return c, nil
}

// read adds one file.
func (c *Catalogue) read(bundle *goi18n.Bundle, fsys fs.FS, name string) error {
	tag, err := language.Parse(strings.TrimSuffix(path.Base(name), ".json"))
	if err != nil {
		return fmt.Errorf("the file is not named after a language: %w", err)
	}
	content, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	var texts map[string]text
	if err := json.Unmarshal(content, &texts); err != nil {
		return err
	}
	messages := make(map[string]*goi18n.Message, len(texts))
	for key, t := range texts {
		message := t.message(key)
		if err := checkMessage(message); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		messages[key] = message
	}
	if tag != language.English {
		c.tags = append(c.tags, tag)
	}
	c.messages[tag] = messages
	return bundle.AddMessages(tag, slices.Collect(maps.Values(messages))...)
}

// OnMissing returns a catalogue that reports each key, or placeholder of a key,
// that had to be shown without its text. The report must be quick and safe for
// concurrent use.
func (c *Catalogue) OnMissing(report func(locale, key string)) *Catalogue {
	reporting := *c
	reporting.missing = report
	return &reporting
}

// maxPreference bounds the work that a stranger's header may cause.
const maxPreference = 256

// Match chooses a language. Each preference is a language tag, a list of tags
// separated by blanks (ui_locales) or the value of an Accept-Language header; the
// first preference that names a language we have, or one close to it, decides.
// Empty and unreadable ones are passed over. Pass them in this order: ui_locales,
// the user's own, the cookie, Accept-Language, the realm's default. English is
// the last resort.
func (c *Catalogue) Match(preferences ...string) Locale {
	for _, preference := range preferences {
		wanted := parsePreference(preference)
		if len(wanted) == 0 {
			continue
		}
		if _, at, confidence := c.matcher.Match(wanted...); confidence != language.No {
			return Locale{catalogue: c, tag: c.tags[at]}
		}
	}
	return Locale{catalogue: c, tag: language.English}
}

// Locales lists every language, English first, for a language switch.
func (c *Catalogue) Locales() []Locale {
	locales := make([]Locale, 0, len(c.tags))
	for _, tag := range c.tags {
		locales = append(locales, Locale{catalogue: c, tag: tag})
	}
	return locales
}

// Keys lists the keys of the English catalogue in order, for editors of texts.
func (c *Catalogue) Keys() []string {
	return slices.Sorted(maps.Keys(c.messages[language.English]))
}

func parsePreference(preference string) []language.Tag {
	if len(preference) > maxPreference {
		preference = preference[:maxPreference]
		preference = preference[:max(0, strings.LastIndexAny(preference, ", "))]
	}
	if strings.ContainsAny(preference, ",;") {
		return parseAcceptLanguage(preference)
	}
	var tags []language.Tag
	for word := range strings.FieldsSeq(preference) {
		if tag, err := language.Parse(word); err == nil {
			tags = append(tags, tag)
		}
	}
	return tags
}

// parseAcceptLanguage passes over the entries that cannot be read; x/text would
// discard the whole header for one of them.
func parseAcceptLanguage(header string) []language.Tag {
	readable := slices.DeleteFunc(strings.Split(header, ","), func(entry string) bool {
		_, _, err := language.ParseAcceptLanguage(entry)
		return err != nil
	})
	tags, _, err := language.ParseAcceptLanguage(strings.Join(readable, ","))
	if err != nil {
		return nil
	}
	return tags
}

// text is an entry of a catalogue file: a string, or plural forms.
type text struct {
	Zero, One, Two, Few, Many, Other string
}

// UnmarshalJSON accepts "text" and {"one": "…", "other": "…"}.
func (t *text) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &t.Other) == nil {
		return nil
	}
	type forms text
	if err := json.Unmarshal(raw, (*forms)(t)); err != nil {
		return err
	}
	if t.Other == "" {
		return errors.New("plural forms without \"other\"")
	}
	return nil
}

// message fills every form that is not given with "other": go-i18n takes a form
// that a language has and the text lacks for an error, while most texts need no
// forms, and hardly any the "many" that Spanish has for millions.
func (t *text) message(key string) *goi18n.Message {
	return &goi18n.Message{
		ID:    key,
		Zero:  cmp.Or(t.Zero, t.Other),
		One:   cmp.Or(t.One, t.Other),
		Two:   cmp.Or(t.Two, t.Other),
		Few:   cmp.Or(t.Few, t.Other),
		Many:  cmp.Or(t.Many, t.Other),
		Other: t.Other,
	}
}
