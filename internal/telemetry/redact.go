package telemetry

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// masked stands wherever a value was withheld.
const masked = "[redacted]"

// Bounds on what a single attribute may print.
const (
	maxDepth = 6
	maxItems = 50
	maxText  = 8 << 10
)

// redact returns the attribute as it may be logged inside of these groups. Groups are walked, LogValuers resolved.
func redact(groups []string, attr slog.Attr) slog.Attr {
	attr.Value = attr.Value.Resolve()
	if attr.Value.Kind() == slog.KindGroup {
		return redactGroup(groups, attr)
	}
	if sensitive(attr.Key) || slices.ContainsFunc(groups, sensitive) {
		attr.Value = slog.StringValue(masked)
		return attr
	}
	switch attr.Value.Kind() {
	case slog.KindString:
		attr.Value = slog.StringValue(safe(attr.Value.String()))
	case slog.KindAny:
		attr.Value = slog.AnyValue(clean(attr.Value.Any()))
	default: // numbers, times and durations carry no secret
	}
	return attr
}

// redactGroup is redact of a group; one without a key is as if its attributes stood where it does.
func redactGroup(groups []string, attr slog.Attr) slog.Attr {
	if attr.Key != "" {
		groups = append(slices.Clip(groups), attr.Key)
	}
	members := attr.Value.Group()
	clean := make([]slog.Attr, len(members))
	for i, member := range members {
		clean[i] = redact(groups, member)
	}
	return slog.Attr{Key: attr.Key, Value: slog.GroupValue(clean...)}
}

// sensitiveWord reports whether a word anywhere in a key marks its value as a
// secret or as personal.
func sensitiveWord(word string) bool {
	switch word {
	case "password", "passwords", "passwd", "pwd", "passphrase", "secret", "secrets", "token", "tokens", "jwt",
		"code", "codes", "otp", "totp", "pin", "cookie", "cookies", "authorization", "bearer", "assertion",
		"verifier", "credential", "credentials", "email", "emails", "mail", "phone", "username", "identifier",
		"hint", "saml", "dpop", "csrf", "private", "apikey":
		return true
	}
	return false
}

// harmless reports whether a key is known to carry no secret although one of its
// words usually does.
func harmless(key string) bool {
	switch key {
	case "status_code", "error_code", "exit_code", "country_code", "token_type", "token_kind", "hint",
		"token_endpoint_auth_method", "code_challenge_method", "private_addr",
		// Those of the line that every request leaves need not be looked at word by word.
		"method", "route", "status", "duration_ms", "client_id", "grant_type":
		return true
	}
	return false
}

// sensitive reports whether an attribute of that key must not be shown.
func sensitive(key string) bool {
	if harmless(key) {
		return false
	}
	before, last := "", ""
	for rest := key; rest != ""; {
		var word string
		word, rest = nextWord(rest)
		if word == "" {
			continue
		}
		if sensitiveWord(word) {
			return true
		}
		before, last = last, word
	}
	if last != "key" && last != "keys" {
		return false
	}
	switch before {
	case "api", "master", "signing", "sealing", "data":
		return true
	}
	return false
}

// nextWord splits the first word off, in lower case: refresh_token, RefreshToken and Refresh-Token are split alike.
func nextWord(key string) (word, rest string) {
	lower := false
	for i, r := range key {
		switch {
		case 'a' <= r && r <= 'z':
			lower = true
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			_, size := utf8.DecodeRuneInString(key[i:]) // a byte that is no character has one
			return strings.ToLower(key[:i]), key[i+size:]
		case lower && unicode.IsUpper(r):
			return strings.ToLower(key[:i]), key[i:]
		default:
			lower = !unicode.IsUpper(r)
		}
	}
	return strings.ToLower(key), ""
}

// Patterns of secrets inside a text: a parameter of a query or form, a bearer
// credential, a JSON Web Token, the password of a connection string.
var (
	parameterPattern = regexp.MustCompile(
		`(?i)\b((?:[a-z]+_)*(?:password|passwd|secret|token|code|code_verifier|assertion|otp|hint|state|nonce|request|cookie))=[^&\s"'#;]+`)
	bearerPattern   = regexp.MustCompile(`(?i)\b(bearer|basic|dpop)\s+[A-Za-z0-9._~+/=-]{8,}`)
	jwtPattern      = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*`)
	userinfoPattern = regexp.MustCompile(`://([^/\s:@]*):[^@/\s]+@`)
	emailPattern    = regexp.MustCompile(`[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
)

// safe is a text as it may be logged.
func safe(text string) string {
	if oneWord(text) {
		return text
	}
	return escape(scrub(text))
}

// oneWord reports whether a text is short, ASCII, and without any character that scrub looks for.
func oneWord(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c <= ' ', c >= 0x7f, c == '=', c == '@', c == 'J':
			return false
		}
	}
	return len(text) <= maxText
}

// scrub masks secrets inside a text. Each pattern costs only when the text has
// the character that it cannot do without.
func scrub(text string) string {
	if strings.Contains(text, "=") {
		text = parameterPattern.ReplaceAllString(text, "$1="+masked)
	}
	if strings.Contains(text, "eyJ") {
		text = jwtPattern.ReplaceAllString(text, masked)
	}
	if strings.Contains(text, " ") {
		text = scrubBearer(text)
	}
	if strings.Contains(text, "@") {
		text = userinfoPattern.ReplaceAllString(text, "://$1:"+masked+"@")
		text = emailPattern.ReplaceAllString(text, masked)
	}
	return text
}

// scrubBearer spares ordinary prose ("bearer authentication", "basic
// requirements"): only what does not look like a word is masked.
func scrubBearer(text string) string {
	return bearerPattern.ReplaceAllStringFunc(text, func(match string) string {
		scheme, credential, _ := strings.Cut(match, " ")
		if !strings.ContainsFunc(credential, func(r rune) bool { return unicode.IsDigit(r) || unicode.IsUpper(r) || r == '=' }) {
			return match
		}
		return scheme + " " + masked
	})
}

// escape makes visible what could rewrite a terminal or reorder a line and is
// not escaped by slog itself: C1 controls (ESC [ in one character), line and
// paragraph separators, and the invisible format characters, among them the
// bidirectional overrides. The C0 controls, CR and LF included, are left to the
// handler, which writes them as \n or \u001b. It also bounds the length.
func escape(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…[cut]"
	}
	if !strings.ContainsFunc(text, dangerous) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if dangerous(r) {
			fmt.Fprintf(&b, "<U+%04X>", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func dangerous(r rune) bool {
	return r >= 0x7f && (r <= 0x9f || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Cf, r))
}

// clean turns any value into one that the handlers print without a secret:
// errors and texts are scrubbed, maps and structures are walked.
func clean(v any) (cleaned any) {
	defer func() {
		if recover() != nil {
			cleaned = "[unprintable]"
		}
	}()
	return walk(reflect.ValueOf(v), maxDepth)
}

func walk(v reflect.Value, depth int) any {
	if !v.IsValid() {
		return nil
	}
	if depth == 0 {
		return "[too deep]"
	}
	if text, done := speaks(v, depth); done {
		return text
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return walk(v.Elem(), depth-1)
	case reflect.String:
		return safe(v.String())
	case reflect.Map:
		return walkMap(v, depth)
	case reflect.Struct:
		return walkStruct(v, depth)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return fmt.Sprintf("[%d bytes]", v.Len())
		}
		items := make([]any, 0, min(v.Len(), maxItems))
		for i := range min(v.Len(), maxItems) {
			items = append(items, walk(v.Index(i), depth-1))
		}
		return items
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return v.Interface()
	default:
		return "[" + v.Type().String() + "]"
	}
}

// speaks asks a value that knows how to print itself.
func speaks(v reflect.Value, depth int) (any, bool) {
	if !v.CanInterface() || (v.Kind() == reflect.Pointer && v.IsNil()) {
		return nil, false
	}
	switch value := v.Interface().(type) {
	case slog.LogValuer:
		return walkLogValue(value.LogValue().Resolve(), depth), true
	case error:
		return safe(value.Error()), true
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		if err != nil {
			return "[unprintable]", true
		}
		return safe(string(text)), true
	case json.Marshaler:
		var plain any
		raw, err := value.MarshalJSON()
		if err != nil || json.Unmarshal(raw, &plain) != nil {
			return "[unprintable]", true
		}
		return walk(reflect.ValueOf(plain), depth-1), true
	case fmt.Stringer:
		return safe(value.String()), true
	}
	return nil, false
}

func walkLogValue(v slog.Value, depth int) any {
	if v.Kind() != slog.KindGroup {
		return walk(reflect.ValueOf(v.Any()), depth-1)
	}
	out := map[string]any{}
	for _, attr := range v.Group() {
		if sensitive(attr.Key) {
			out[attr.Key] = masked
			continue
		}
		out[attr.Key] = walkLogValue(attr.Value.Resolve(), depth-1)
	}
	return out
}

func walkMap(v reflect.Value, depth int) any {
	out := map[string]any{}
	for entries := v.MapRange(); entries.Next() && len(out) < maxItems; {
		key := fmt.Sprint(walk(entries.Key(), depth-1))
		if sensitive(key) {
			out[key] = masked
			continue
		}
		out[key] = walk(entries.Value(), depth-1)
	}
	return out
}

// walkStruct shows exported fields under their Go names; a field is withheld
// when either that name or its JSON name is sensitive.
func walkStruct(v reflect.Value, depth int) any {
	out := map[string]any{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if sensitive(field.Name) || sensitive(name) {
			out[field.Name] = masked
			continue
		}
		out[field.Name] = walk(v.Field(i), depth-1)
	}
	return out
}
