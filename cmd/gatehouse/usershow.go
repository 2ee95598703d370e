package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

func (c *cli) userShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show REALM NAME",
		Short: "Show an account: names, claims, password, sessions and applications with access",
		Long: `Show an account: names, claims, the password (when it was set, the format of its hash, whether it is for once or must be
changed), the last sign-in and how many were refused since, live sessions and applications with access.

Whether sign-ins are being slowed down at this moment is not stored: those that were refused tell.

` + nameHelp,
		Args: exactly(2, "REALM and NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			d, err := c.Do.UserShow(cmd.Context(), p, args[0], args[1])
			if err != nil {
				return err
			}
			if c.output == outputJSON {
				return c.printJSON(detailsOf(d))
			}
			return c.printDetails(d)
		},
	}
}

func (c *cli) printDetails(d app.UserDetails) error {
	rows := [][]string{{"subject", d.Subject}, {"status", d.Status}}
	for _, n := range d.Names {
		state := ""
		if n.Kind == user.KindEmail {
			state = " (not verified)"
			if n.VerifiedAt != nil {
				state = " (verified " + date(*n.VerifiedAt) + ")"
			}
		}
		rows = append(rows, []string{n.Kind, n.Display + state})
	}
	claims, err := claimsOf(d.Claims)
	if err != nil {
		return err
	}
	for _, name := range sorted(claims) {
		rows = append(rows, []string{name, fmt.Sprint(claims[name])})
	}
	rows = append(rows, passwordRows(d.Password)...)
	rows = append(rows, signInRows(d)...)
	rows = append(rows, []string{"created", date(d.CreatedAt)}, []string{"updated", date(d.UpdatedAt)})
	if err := c.print(nil, []string{"FIELD", "VALUE"}, rows); err != nil {
		return err
	}
	if _, rows := sessionViews(d); len(rows) > 0 {
		if err := c.printBelow(sessionHeader(), rows); err != nil {
			return err
		}
	}
	if len(d.Applications) == 0 {
		return nil
	}
	rows = nil
	for _, a := range d.Applications {
		rows = append(rows, []string{a.ClientID, date(a.Since), date(a.UsedAt), yesNo(a.Offline)})
	}
	return c.printBelow([]string{"APPLICATION", "SINCE", "LAST USED", "OFFLINE"}, rows)
}

func passwordRows(p *password.Kept) [][]string {
	if p == nil {
		return [][]string{{"password", "none"}}
	}
	format := p.Format
	if p.Pepper != "" {
		format += ", pepper " + p.Pepper
	}
	if p.Outdated {
		format += ", replaced at the next sign-in"
	}
	rows := [][]string{{"password", "set " + date(p.ChangedAt)}, {"password format", format}}
	if p.Until != nil {
		rows = append(rows, []string{"one-time password", "works until " + date(*p.Until)})
	}
	if p.MustChange != "" {
		rows = append(rows, []string{"password must change", string(p.MustChange)})
	}
	return rows
}

func signInRows(d app.UserDetails) [][]string {
	last := "never"
	if !d.SignedInAt.IsZero() {
		last = date(d.SignedInAt)
	}
	refused := strconv.FormatInt(d.Refused, 10)
	if d.Refused == app.MostRefused {
		refused += " or more"
	}
	return [][]string{{"last sign-in", last}, {"refused since", refused}}
}

// printBelow prints another table after an empty line.
func (c *cli) printBelow(header []string, rows [][]string) error {
	if _, err := fmt.Fprintln(c.Stdout); err != nil {
		return err
	}
	return c.print(nil, header, rows)
}

func claimsOf(c user.Claims) (map[string]any, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(raw, &claims); err != nil {
		return nil, fmt.Errorf("decode claims: %w", err)
	}
	return claims, nil
}

func sorted(claims map[string]any) []string {
	var names []string
	for name := range claims {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func sessionHeader() []string {
	return []string{"SESSION", "SIGNED IN", "LAST USED", "ENDS", "BY", "KEPT"}
}

func sessionViews(d app.UserDetails) ([]sessionView, [][]string) {
	views, rows := make([]sessionView, 0, len(d.Sessions)), make([][]string, 0, len(d.Sessions))
	for _, s := range d.Sessions {
		views = append(views, sessionView{s.ID.String(), s.AuthTime.UTC(), s.SeenAt.UTC(), s.EndsAt.UTC(), s.AMR, s.Persistent})
		rows = append(rows, []string{s.ID.String(), date(s.AuthTime), date(s.SeenAt), date(s.EndsAt), strings.Join(s.AMR, "+"), yesNo(s.Persistent)})
	}
	return views, rows
}

func detailsOf(d app.UserDetails) detailsView {
	v := detailsView{
		Subject: d.Subject, Status: d.Status, Claims: d.Claims, Names: []nameView{}, Refused: d.Refused,
		Applications: []accessView{}, CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(),
	}
	if p := d.Password; p != nil {
		v.Password = &passwordView{p.ChangedAt.UTC(), p.Format, p.Pepper, p.Outdated, p.MustChange, p.Until}
	}
	if !d.SignedInAt.IsZero() {
		at := d.SignedInAt.UTC()
		v.SignedInAt = &at
	}
	for _, n := range d.Names {
		v.Names = append(v.Names, nameView{n.Kind, n.Display, n.VerifiedAt})
	}
	v.Sessions, _ = sessionViews(d)
	for _, a := range d.Applications {
		v.Applications = append(v.Applications, accessView{a.ClientID, a.Since.UTC(), a.UsedAt.UTC(), a.Offline})
	}
	return v
}

// The views are people as JSON shows them.
type (
	peopleView struct {
		Users []personView `json:"users"`
		// Next is for --after, absent on the last page.
		Next string `json:"next,omitempty"`
	}
	personView struct {
		Subject   string    `json:"subject"`
		Status    string    `json:"status"`
		Email     string    `json:"email,omitempty"`
		Username  string    `json:"username,omitempty"`
		Name      string    `json:"name,omitempty"`
		CreatedAt time.Time `json:"created_at"`
	}
	detailsView struct {
		Subject string      `json:"subject"`
		Status  string      `json:"status"`
		Names   []nameView  `json:"names"`
		Claims  user.Claims `json:"claims"`
		// Password is absent when the person has none, SignedInAt when they never signed in.
		Password   *passwordView `json:"password,omitempty"`
		SignedInAt *time.Time    `json:"signed_in_at,omitempty"`
		// Refused counts sign-ins that were refused since, up to app.MostRefused.
		Refused      int64         `json:"refused_since"`
		Sessions     []sessionView `json:"sessions"`
		Applications []accessView  `json:"applications"`
		CreatedAt    time.Time     `json:"created_at"`
		UpdatedAt    time.Time     `json:"updated_at"`
	}
	passwordView struct {
		ChangedAt time.Time `json:"changed_at"`
		Format    string    `json:"format"`
		Pepper    string    `json:"pepper,omitempty"`
		// Outdated tells that the next good sign-in replaces the hash.
		Outdated   bool            `json:"outdated"`
		MustChange password.Reason `json:"must_change,omitempty"`
		// Until is of a one-time password alone.
		Until *time.Time `json:"until,omitempty"`
	}
	nameView struct {
		Kind       string     `json:"kind"`
		Value      string     `json:"value"`
		VerifiedAt *time.Time `json:"verified_at,omitempty"`
	}
	sessionView struct {
		ID         string    `json:"id"`
		AuthTime   time.Time `json:"auth_time"`
		SeenAt     time.Time `json:"seen_at"`
		EndsAt     time.Time `json:"ends_at"`
		AMR        []string  `json:"amr"`
		Persistent bool      `json:"persistent"`
	}
	accessView struct {
		ClientID string    `json:"client_id"`
		Since    time.Time `json:"since"`
		UsedAt   time.Time `json:"used_at"`
		Offline  bool      `json:"offline"`
	}
	resultView struct {
		Changed  bool  `json:"changed"`
		Sessions int64 `json:"sessions_ended"`
		Grants   int64 `json:"grants_ended"`
	}
)
