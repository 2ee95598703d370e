package flow

import (
	"net/url"
	"reflect"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// ProfileInput is one field of a person's profile on a page.
type ProfileInput struct {
	// Claim names the field and its label, "profile.CLAIM".
	Claim    string
	Required bool
	Value    string
	// Type, Mode and Autocomplete are attributes of the input (WCAG 2.2 §1.3.5).
	Type, Mode, Autocomplete string
}

// ProfileInputs are the fields that the realm asks for, filled in from the claims. missing leaves out what need not be
// asked: what is optional or there.
func ProfileInputs(r *realm.Facts, claims user.Claims, missing bool) []ProfileInput {
	var inputs []ProfileInput
	for _, f := range r.Settings.Profile {
		value := *claim(&claims, f.Claim)
		if missing && (!f.Required || value != "") {
			continue
		}
		in := ProfileInput{Claim: f.Claim, Required: f.Required, Value: value, Type: "text", Autocomplete: autocomplete[f.Claim]}
		switch f.Claim {
		case "birthdate":
			in.Type = "date"
		case "phone_number":
			in.Type, in.Mode = "tel", "tel"
		case "website":
			in.Type, in.Mode = "url", "url"
		}
		inputs = append(inputs, in)
	}
	return inputs
}

//nolint:gochecknoglobals // a constant table
var autocomplete = map[string]string{
	"name": "name", "given_name": "given-name", "family_name": "family-name", "nickname": "nickname", "birthdate": "bday",
	"phone_number": "tel", "website": "url", "zoneinfo": "off",
}

// ReadProfile lays the posted fields over the claims and says what is wrong with them, by claim.
func ReadProfile(inputs []ProfileInput, claims user.Claims, in Input) (user.Claims, map[string]Message) {
	wrong := map[string]Message{}
	for _, f := range inputs {
		value := strings.TrimSpace(in.Value(f.Claim))
		if f.Claim == "phone_number" {
			value = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(value)
		}
		*claim(&claims, f.Claim) = value
		switch {
		case value == "" && f.Required:
			wrong[f.Claim] = Message{Key: "field.required"}
		case len([]rune(value)) > maxProfileText:
			wrong[f.Claim] = Message{Key: "field.too_long", Params: map[string]any{"max": maxProfileText}}
		case value == "":
		default:
			var alone user.Claims
			*claim(&alone, f.Claim) = value
			if len(alone.Check()) > 0 || strings.ContainsFunc(value, control) || (f.Claim == "website" && !isWebsite(value)) {
				wrong[f.Claim] = Message{Key: invalid(f.Claim)}
			}
		}
	}
	return claims, wrong
}

// isWebsite keeps out addresses that do something when somebody opens them.
func isWebsite(value string) bool {
	u, err := url.Parse(value)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// invalid is the message of a value that is not what the claim is.
func invalid(claim string) string {
	switch claim {
	case "phone_number", "birthdate", "website":
		return "profile." + claim + "_invalid"
	}
	return "field.invalid"
}

const maxProfileText = 200

func control(c rune) bool { return c < ' ' || c == 0x7f }

// claim is the field of a claim that realm.ProfileClaims lists.
func claim(c *user.Claims, name string) *string {
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); tag == name {
			if field, ok := v.Field(i).Addr().Interface().(*string); ok {
				return field
			}
		}
	}
	return new(string)
}
