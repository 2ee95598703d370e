package i18n

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// Locale is a chosen language. Get one from Match or Locales; the zero value
// shows keys.
type Locale struct {
	catalogue *Catalogue
	tag       language.Tag
}

// Tag is the BCP 47 tag, for the lang attribute.
func (l Locale) Tag() string { return l.tag.String() }

// Name is the language's name in itself, for a language switch.
func (l Locale) Name() string { return l.T("language.name", nil) }

// Dir is "rtl" for scripts written from right to left, else "ltr".
func (l Locale) Dir() string {
	script, _ := l.tag.Script()
	switch script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg", "Mand", "Samr":
		return "rtl"
	}
	return "ltr"
}

// T returns the text of a key with its placeholders filled in. A whole number
// under "n" chooses the plural form. What is missing in this language comes in
// English, and what is missing there too is shown as the key; both are
// reported. T never panics.
func (l Locale) T(key string, params map[string]any) string {
	if l.catalogue == nil {
		return key
	}
	config := &goi18n.LocalizeConfig{
		MessageID: key, TemplateData: params, PluralCount: count(params), TemplateParser: parser{},
	}
	localizer := l.catalogue.localizers[l.tag]
	if layer := l.catalogue.overrides[l.tag]; layer.keys[key] {
		localizer = layer.localizer
	}
	shown, err := localizer.Localize(config)
	if err != nil {
		l.report(key, err)
	}
	if shown == "" {
		return key
	}
	return shown
}

// Has reports whether a key has a text in this language or in English.
func (l Locale) Has(key string) bool {
	return l.catalogue != nil && l.catalogue.message(l.tag, key) != nil
}

// message is the text that T will use, before overrides.
func (c *Catalogue) message(tag language.Tag, key string) *goi18n.Message {
	if m := c.messages[tag][key]; m != nil {
		return m
	}
	return c.messages[language.English][key]
}

func (l Locale) report(key string, err error) {
	var params missingParamError
	if errors.As(err, &params) {
		key += " (" + params.Error() + ")"
	}
	l.catalogue.missing(l.Tag(), key)
}

// count is the number that decides the plural form: params["n"] when it is a
// whole number, else nil.
func count(params map[string]any) any {
	switch n := params["n"].(type) {
	case int, int8, int16, int32, int64:
		return n
	}
	return nil
}

// Date writes the day of t in a zone, in words: 2 January 2026. A nil zone is
// UTC.
func (l Locale) Date(t time.Time, zone *time.Location) string {
	t = in(t, zone)
	return l.T("date.date", map[string]any{
		"day":   t.Day(),
		"month": l.T("date.month."+strconv.Itoa(int(t.Month())), nil),
		"year":  t.Year(),
	})
}

// DateTime writes t in a zone with the zone's name, so that it means the same to
// everyone who reads it: 2 January 2026, 15:04 UTC. A nil zone is UTC.
func (l Locale) DateTime(t time.Time, zone *time.Location) string {
	t = in(t, zone)
	return l.T("date.datetime", map[string]any{
		"date": l.Date(t, zone),
		"time": fmt.Sprintf("%02d:%02d", t.Hour(), t.Minute()),
		"zone": zoneName(t),
	})
}

func in(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone)
}

// zoneName is the zone's abbreviation; where it has none but digits ("-03"), the
// difference to UTC.
func zoneName(t time.Time) string {
	name, _ := t.Zone()
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + name
	}
	return name
}
