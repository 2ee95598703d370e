package client

import (
	"fmt"
	"strconv"
	"strings"
)

// ExplainRedirect tells a developer why a redirect address is refused, and how to mend it.
func (c Client) ExplainRedirect(uri string) string {
	return explainAddress(c, "redirect_uri", "redirect_uris", c.RedirectURIs, uri)
}

// ExplainLogoutRedirect is ExplainRedirect for the return from a logout; c may be nil.
func ExplainLogoutRedirect(c *Client, uri string) string {
	if c == nil {
		return "There is a post_logout_redirect_uri, but neither client_id nor id_token_hint says whose it is. Send one of them."
	}
	return explainAddress(*c, "post_logout_redirect_uri", "post_logout_redirect_uris", c.PostLogoutRedirectURIs, uri)
}

// explainAddress puts the address that came over the nearest registered one, and marks where they part. Whatever
// could look like something else is written as an escape, so that a look-alike letter shows, too.
func explainAddress(c Client, parameter, setting string, registered []string, uri string) string {
	const apply = "  gatehouse realm apply -f FILE"
	switch {
	case uri == "":
		return "The parameter " + parameter + " is missing."
	case len(registered) == 0:
		return fmt.Sprintf("The application %s has no %s. Add the address there in the realm file:\n%s", c.ClientID, setting, apply)
	}
	asked := plain(uri)
	nearest, at := "", -1
	for _, address := range registered {
		if n := sharedStart(asked, plain(address)); n > at {
			nearest, at = plain(address), n
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s is not registered for the application %s.\n\n", parameter, c.ClientID)
	fmt.Fprintf(&b, "received, and the nearest that is registered:\n  %s\n  %s\n  %s^\n", asked, nearest, strings.Repeat(" ", at))
	fmt.Fprintf(&b, "%s\n\n", difference(asked, nearest, at))
	if len(registered) > 1 {
		b.WriteString("All that are registered:\n")
		for _, address := range registered {
			b.WriteString("  " + plain(address) + "\n")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Correct the application's request, or add the address to\n%s in the realm file:\n%s", setting, apply)
	return b.String()
}

// difference says what is at the first place where two addresses part.
func difference(asked, nearest string, at int) string {
	switch {
	case at == len(asked):
		return fmt.Sprintf("character %d: the received one ends here", at+1)
	case at == len(nearest):
		return fmt.Sprintf("character %d: the registered one ends here", at+1)
	}
	return fmt.Sprintf("character %d: %q instead of %q", at+1, asked[at:at+1], nearest[at:at+1])
}

func sharedStart(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// plain is text in printable ASCII, one column a byte.
func plain(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
