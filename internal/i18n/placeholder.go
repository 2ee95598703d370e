package i18n

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/nicksnyder/go-i18n/v2/i18n/template"
)

// placeholder is the only thing that may stand between double braces.
var placeholder = regexp.MustCompile(`\{\{\s*\.([a-z][A-Za-z0-9_]*)\s*\}\}`)

// parser replaces go-i18n's, which runs a text as a whole Go template.
type parser struct{}

var _ template.Parser = parser{}

// Cacheable reports that a parsed text may be kept.
func (parser) Cacheable() bool { return true }

// Parse checks the text. The delimiters are always double braces.
func (parser) Parse(source, _, _ string) (template.ParsedTemplate, error) {
	if err := checkText(source); err != nil {
		return nil, err
	}
	return parsed(source), nil
}

type parsed string

// missingParamError names placeholders that nobody filled in. The text is
// usable, with nothing in their place.
type missingParamError []string

func (e missingParamError) Error() string {
	return "no value for " + strings.Join(e, ", ")
}

// Execute fills the placeholders from a map[string]any.
func (p parsed) Execute(data any) (string, error) {
	params, _ := data.(map[string]any)
	var missing missingParamError
	filled := placeholder.ReplaceAllStringFunc(string(p), func(found string) string {
		name := placeholder.FindStringSubmatch(found)[1]
		value, ok := params[name]
		if !ok {
			missing = append(missing, name)
			return ""
		}
		return fmt.Sprint(value)
	})
	if missing != nil {
		return filled, missing
	}
	return filled, nil
}

// checkText refuses double braces that are not a placeholder.
func checkText(source string) error {
	if rest := placeholder.ReplaceAllString(source, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
		return fmt.Errorf("%q holds something other than a placeholder such as {{.app}}", source)
	}
	return nil
}

// forms lists the plural forms of a message.
func forms(m *goi18n.Message) []string {
	return []string{m.Zero, m.One, m.Two, m.Few, m.Many, m.Other}
}

func checkMessage(m *goi18n.Message) error {
	for _, source := range forms(m) {
		if err := checkText(source); err != nil {
			return err
		}
	}
	return nil
}

// placeholders lists the names used by any form of a message, in order.
func placeholders(m *goi18n.Message) []string {
	names := map[string]bool{}
	for _, source := range forms(m) {
		for _, found := range placeholder.FindAllStringSubmatch(source, -1) {
			names[found[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
