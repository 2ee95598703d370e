// Package outbox shows the mails that a development server kept instead of sending them: at /dev/outbox, on loopback
// and by the server's own host name only. Package mail/capture keeps them.
package outbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
)

// Path is where the outbox begins.
const Path = "/dev/outbox"

//go:embed pages
var pages embed.FS

// NewHandler makes the handler of Path and what is below it. host, with its port, is the only one that is answered:
// another would be a page somewhere that made its name point here, to read codes.
func NewHandler(kept *capture.Outbox, host string) (http.Handler, error) {
	t, err := template.ParseFS(pages, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the pages of the outbox: %w", err)
	}
	o := &handler{kept, t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, o.list)
	mux.HandleFunc("GET "+Path+"/mails.json", o.json)
	mux.HandleFunc("GET "+Path+"/{number}", o.one)
	mux.HandleFunc("GET "+Path+"/{number}/html", o.html)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Error(w, "The outbox answers at "+host+Path+" only.", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	}), nil
}

type handler struct {
	kept  *capture.Outbox
	pages *template.Template
}

// entry is a mail as the pages show it.
type entry struct {
	capture.Kept
	// Codes and Links are what somebody would copy.
	Codes, Links []string
}

func newEntry(k capture.Kept) entry {
	e := entry{Kept: k, Links: regexp.MustCompile(`https?://\S+`).FindAllString(k.Text, -1)}
	for _, found := range regexp.MustCompile(`(?m)^ {4}(\S+)$`).FindAllStringSubmatch(k.Text, -1) {
		e.Codes = append(e.Codes, found[1])
	}
	return e
}

func (o *handler) list(w http.ResponseWriter, _ *http.Request) {
	var list []entry
	for _, k := range o.kept.Mails() {
		list = append(list, newEntry(k))
	}
	o.show(w, "list.html", list)
}

func (o *handler) one(w http.ResponseWriter, r *http.Request) {
	if k, ok := o.find(w, r); ok {
		o.show(w, "mail.html", newEntry(k))
	}
}

// html is the mail as its reader would show it, in a frame without scripts. Its links open beside the outbox.
func (o *handler) html(w http.ResponseWriter, r *http.Request) {
	k, ok := o.find(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy",
		"sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'self'; frame-ancestors 'self'")
	_, _ = w.Write([]byte(strings.Replace(k.HTML, "<head>", `<head><base target="_blank">`, 1)))
}

// json is for programs: everything that is kept, the last mail first.
func (o *handler) json(w http.ResponseWriter, _ *http.Request) {
	type item struct {
		Number  int      `json:"number"`
		To      string   `json:"to"`
		From    string   `json:"from"`
		Subject string   `json:"subject"`
		Text    string   `json:"text"`
		Codes   []string `json:"codes"`
		Links   []string `json:"links"`
	}
	list := []item{}
	for _, k := range o.kept.Mails() {
		e := newEntry(k)
		list = append(list, item{k.Number, k.To.Mailbox, k.From.Mailbox, k.Subject, k.Text, e.Codes, e.Links})
	}
	body, err := json.Marshal(list)
	if err != nil {
		http.Error(w, "The list could not be made: "+err.Error(), http.StatusInternalServerError) // development only
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (o *handler) find(w http.ResponseWriter, r *http.Request) (capture.Kept, bool) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err == nil {
		if k, ok := o.kept.Mail(number); ok {
			return k, true
		}
	}
	http.Error(w, "This mail is not kept any more: the outbox forgets old ones, and all when the server stops.", http.StatusNotFound)
	return capture.Kept{}, false
}

func (o *handler) show(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := o.pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "The page could not be made: "+err.Error(), http.StatusInternalServerError) // development only
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(b.Bytes())
}
