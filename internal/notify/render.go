package notify

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"

	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Renderer makes the words of mails.
type Renderer struct {
	catalogue *i18n.Catalogue
	html      map[Template]*htmltemplate.Template
	text      map[Template]*texttemplate.Template
}

// NewRenderer parses mail/*.html and mail/*.txt of files, every one of Templates.
func NewRenderer(catalogue *i18n.Catalogue, files fs.FS) (*Renderer, error) {
	r := &Renderer{catalogue, map[Template]*htmltemplate.Template{}, map[Template]*texttemplate.Template{}}
	for _, t := range Templates() {
		html, err := htmltemplate.New("layout").Option("missingkey=error").ParseFS(files, "mail/layout.html", "mail/"+string(t)+".html")
		if err != nil {
			return nil, fmt.Errorf("parse the HTML of mail %s: %w", t, err)
		}
		text, err := texttemplate.New("layout").Option("missingkey=error").ParseFS(files, "mail/layout.txt", "mail/"+string(t)+".txt")
		if err != nil {
			return nil, fmt.Errorf("parse the text of mail %s: %w", t, err)
		}
		r.html[t], r.text[t] = html, text
	}
	return r, nil
}

// words is a mail as people read it.
type words struct{ subject, text, html string }

// render writes the mail of a template. languages are wishes, the first that we have decides, then the realm's default.
func (r *Renderer) render(in *realm.Facts, t Template, values map[string]string, at, until time.Time, languages ...string) (words, error) {
	catalogue := r.catalogue
	if texts := in.Settings.Texts; len(texts) > 0 {
		own := make(map[string]map[string]string, len(texts))
		for language, text := range texts {
			own[language] = text
		}
		catalogue, _ = catalogue.WithOverrides(own) // what cannot be used is left out; pages say so in the log
	}
	locale := catalogue.Match(append(languages, in.Settings.Locale)...)
	v := &view{Lang: locale.Tag(), Dir: locale.Dir(), Site: oneLine(in.Name), Data: map[string]string{}, issuer: in.Issuer, locale: locale}
	v.At, v.Until = locale.DateTime(at, nil), locale.DateTime(until, nil)
	for name, value := range values {
		v.Data[name] = oneLine(value)
	}
	if v.App = v.Data["app"]; v.App == "" {
		v.App = v.Site
	}
	return r.execute(t, v)
}

func (r *Renderer) execute(t Template, v *view) (words, error) {
	html, text := r.html[t], r.text[t]
	if html == nil || text == nil {
		return words{}, fmt.Errorf("there is no mail %q", t)
	}
	var w words
	for _, part := range []struct {
		into    *string
		execute func(io.Writer) error
	}{
		{&w.subject, func(out io.Writer) error { return text.ExecuteTemplate(out, "subject", v) }},
		{&w.text, func(out io.Writer) error { return text.ExecuteTemplate(out, "layout", v) }},
		{&w.html, func(out io.Writer) error { return html.ExecuteTemplate(out, "layout", v) }},
	} {
		var b bytes.Buffer
		v.Subject = w.subject
		if err := part.execute(&b); err != nil {
			return words{}, fmt.Errorf("render mail %s: %w", t, err)
		}
		*part.into = strings.TrimSpace(b.String())
	}
	w.subject = oneLine(w.subject)
	for strings.Contains(w.text, "\n\n\n") { // parts end in a line of their own
		w.text = strings.ReplaceAll(w.text, "\n\n\n", "\n\n")
	}
	w.text += "\n"
	return w, nil
}

// oneLine makes one line of a value: a line break could begin another header, or another sentence in our name.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Bidi_Control, r)
	}), " ")
}

// view is the dot of every mail.
type view struct {
	Lang, Dir string
	Subject   string
	// Site is the realm's name, App the application's or else the same.
	Site, App string
	// At is when the message was written, Until when it becomes pointless, in words.
	At, Until string
	// Data are the message's Data and Secrets.
	Data map[string]string

	issuer string
	locale i18n.Locale
}

// T is the text of a key; pairs are the names and values of its placeholders.
func (v *view) T(key string, pairs ...any) (string, error) {
	params := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return "", fmt.Errorf("text %s: the name of a placeholder is not a string", key)
		}
		params[name] = pairs[i+1]
	}
	return v.locale.T(key, params), nil
}

// Count is a value that is a whole number, for plurals.
func (v *view) Count(name string) (int, error) {
	n, err := strconv.Atoi(v.Data[name])
	if err != nil {
		return 0, fmt.Errorf("value %q is not a whole number", name)
	}
	return n, nil
}

// Target is where a mail leads.
type Target struct{ Label, URL, Host, HostText string }

// Link is the address in a value, labelled by a text. It is http or https. A page of the realm's own opens in the language
// of the mail: whoever reads the mail can read that one, whatever the browser that they open it in is set to.
func (v *view) Link(label, name string) (Target, error) {
	address := v.Data[name]
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return Target{}, fmt.Errorf("value %q is not an http or https address", name)
	}
	if strings.HasPrefix(address, v.issuer+"/") {
		q := u.Query()
		q.Set("ui_locales", v.Lang)
		u.RawQuery = q.Encode()
		address = u.String()
	}
	return Target{
		Label: v.locale.T(label, map[string]any{"app": v.App}), URL: address, Host: u.Host,
		HostText: v.locale.T("mail.link_host", map[string]any{"host": u.Host}),
	}, nil
}
