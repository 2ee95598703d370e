package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// line is a record while it is written, as a JSON object or as text (key=value, the keys of groups joined by dots). A
// group that stays empty is taken out again, as slog demands of handlers.
type line struct {
	b      []byte
	json   bool
	groups []string // that were entered
}

// timeInText has always three decimals, so that the lines of a terminal stand in columns.
const timeInText = "2006-01-02T15:04:05.000Z07:00"

// start writes what every line has; a record without a time has none here either.
func (l *line) start(r slog.Record) {
	level := r.Level.String()
	switch timed := !r.Time.IsZero(); {
	case l.json && timed:
		l.b = r.Time.AppendFormat(append(l.b, `{"time":"`...), time.RFC3339Nano)
		l.b = append(append(append(l.b, `","level":"`...), level...), `","msg":`...)
	case l.json:
		l.b = append(append(append(l.b, `{"level":"`...), level...), `","msg":`...)
	case timed:
		l.b = append(r.Time.AppendFormat(append(l.b, "time="...), timeInText), ' ')
		fallthrough
	default:
		l.b = append(append(append(l.b, "level="...), level...), " msg="...)
	}
	l.text(safe(r.Message))
}

func (l *line) end() {
	if l.json {
		l.b = append(l.b, '}')
	}
	l.b = append(l.b, '\n')
}

// attr adds an attribute, which was redacted.
func (l *line) attr(a slog.Attr) {
	switch {
	case a.Value.Kind() == slog.KindGroup:
		l.group(a.Key, a.Value.Group())
	case a.Key != "" || !a.Equal(slog.Attr{}): // slog has empty ones ignored
		l.key(a.Key)
		l.value(a.Value)
	}
}

func (l *line) group(name string, members []slog.Attr) {
	if name != "" {
		l.enter(name)
	}
	for _, member := range members {
		l.attr(member)
	}
	if name != "" {
		l.leave()
	}
}

func (l *line) enter(group string) {
	if l.json {
		l.key(group)
		l.b = append(l.b, '{')
	}
	l.groups = append(slices.Clip(l.groups), group)
}

func (l *line) leave() {
	group := l.groups[len(l.groups)-1]
	l.groups = l.groups[:len(l.groups)-1]
	switch {
	case !l.json:
	case l.b[len(l.b)-1] == '{':
		entered := line{json: true}
		entered.enter(group)
		l.b = bytes.TrimSuffix(l.b, bytes.TrimPrefix(entered.b, []byte{','}))
		l.b = bytes.TrimSuffix(l.b, []byte{','})
	default:
		l.b = append(l.b, '}')
	}
}

// key begins what never stands first.
func (l *line) key(name string) {
	if !l.json {
		l.b = append(l.b, ' ')
		if len(l.groups) > 0 {
			name = strings.Join(l.groups, ".") + "." + name
		}
		l.text(name)
		l.b = append(l.b, '=')
		return
	}
	if last := len(l.b) - 1; last < 0 || l.b[last] != '{' {
		l.b = append(l.b, ',')
	}
	l.text(name)
	l.b = append(l.b, ':')
}

func (l *line) value(v slog.Value) {
	switch v.Kind() {
	case slog.KindString:
		l.text(v.String())
	case slog.KindInt64:
		l.b = strconv.AppendInt(l.b, v.Int64(), 10)
	case slog.KindUint64:
		l.b = strconv.AppendUint(l.b, v.Uint64(), 10)
	case slog.KindBool:
		l.b = strconv.AppendBool(l.b, v.Bool())
	case slog.KindFloat64:
		l.float(v.Float64())
	case slog.KindTime:
		l.time(v.Time())
	case slog.KindDuration:
		l.duration(v.Duration())
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer: // the last two are not met here: attr and redact take them apart
		l.any(v.Any())
	}
}

func (l *line) time(t time.Time) {
	if l.json {
		l.text(t.Format(time.RFC3339Nano))
		return
	}
	l.text(t.Format(timeInText))
}

func (l *line) duration(d time.Duration) {
	if l.json {
		l.b = strconv.AppendInt(l.b, int64(d), 10)
		return
	}
	l.text(d.String())
}

// float writes as text what JSON has no number for.
func (l *line) float(f float64) {
	if l.json && (math.IsNaN(f) || math.IsInf(f, 0)) {
		l.text(strconv.FormatFloat(f, 'g', -1, 64))
		return
	}
	l.b = strconv.AppendFloat(l.b, f, 'g', -1, 64)
}

func (l *line) any(v any) {
	if !l.json {
		l.text(fmt.Sprintf("%+v", v))
		return
	}
	encoded, err := encode(v)
	if err != nil {
		l.text("[unprintable]")
		return
	}
	l.b = append(l.b, encoded...)
}

// text adds a text, in quotation marks where the format needs them.
func (l *line) text(s string) {
	switch {
	case l.json && simple(s):
		l.b = append(append(append(l.b, '"'), s...), '"')
	case l.json:
		quoted, _ := encode(s) // a text can always be encoded
		l.b = append(l.b, quoted...)
	case s == "" || strings.ContainsFunc(s, unlikeWord) || !utf8.ValidString(s):
		l.b = strconv.AppendQuote(l.b, s)
	default:
		l.b = append(l.b, s...)
	}
}

// simple reports whether JSON needs nothing of a text escaped.
func simple(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// unlikeWord reports whether a text with r needs quotation marks among key=value.
func unlikeWord(r rune) bool { return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) }

// encode is json.Marshal that leaves <, > and & as they are.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode for the log: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}
