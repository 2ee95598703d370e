package i18n

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// maxOverride bounds one overriding text, in bytes.
const maxOverride = 4096

// overlay is one language's own wording. Only what is overridden is in it, so
// that a thousand realms do not hold a thousand catalogues.
type overlay struct {
	keys      map[string]bool
	localizer *goi18n.Localizer
}

// WithOverrides returns a catalogue in which the given texts, by language tag and
// key, stand in place of ours. A text replaces all plural forms of its key.
// An override that cannot be used (unknown language, unknown key, a placeholder
// that ours does not have) is left out and named in the error: the returned
// catalogue is always good, so a caller that stores texts refuses on the error,
// and one that shows a page logs it.
func (c *Catalogue) WithOverrides(texts map[string]map[string]string) (*Catalogue, error) {
	overridden := *c
	overridden.overrides = maps.Clone(c.overrides)
	if overridden.overrides == nil {
		overridden.overrides = map[language.Tag]overlay{}
	}
	var problems []error
	for _, locale := range slices.Sorted(maps.Keys(texts)) {
		tag, err := language.Parse(locale)
		if err != nil || !slices.Contains(c.tags, tag) {
			problems = append(problems, fmt.Errorf("override %s: there is no such catalogue", locale))
			continue
		}
		layer, err := c.overlay(tag, texts[locale])
		if err != nil {
			problems = append(problems, fmt.Errorf("override %s: %w", locale, err))
		}
		overridden.overrides[tag] = layer
	}
	return &overridden, errors.Join(problems...)
}

// overlay makes the layer of one language from the texts that can be used.
func (c *Catalogue) overlay(tag language.Tag, texts map[string]string) (overlay, error) {
	layer := overlay{keys: map[string]bool{}}
	bundle := goi18n.NewBundle(tag)
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		own := text{Other: texts[key]}
		message := own.message(key)
		if err := c.checkOverride(message); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
			continue
		}
		if err := bundle.AddMessages(tag, message); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
			continue
		}
		layer.keys[key] = true
	}
	layer.localizer = goi18n.NewLocalizer(bundle, tag.String())
	return layer, errors.Join(problems...)
}

func (c *Catalogue) checkOverride(m *goi18n.Message) error {
	ours, known := c.messages[language.English][m.ID]
	switch {
	case !known:
		return errors.New("there is no such text")
	case m.Other == "":
		return errors.New("the text is empty")
	case len(m.Other) > maxOverride:
		return fmt.Errorf("the text is longer than %d bytes", maxOverride)
	}
	if err := checkMessage(m); err != nil {
		return err
	}
	for _, name := range placeholders(m) {
		if !slices.Contains(placeholders(ours), name) {
			return fmt.Errorf("there is no placeholder {{.%s}} here", name)
		}
	}
	return nil
}
