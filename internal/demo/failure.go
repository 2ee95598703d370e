package demo

import (
	"fmt"
	"net/http"

	"golang.org/x/oauth2"
)

// failure is a page that says what happened, why, and what to do.
type failure struct {
	status         int
	What, Why, How string
	// Detail is what a developer wants to see: the exact words of the library or of the issuer.
	Detail string
}

func ptr(f failure) *failure { return &f }

func (p *RelyingParty) fail(w http.ResponseWriter, f failure) {
	p.o.Log.Warn("demo sign-in failed", "what", f.What)
	p.show(w, f.status, "failure", f)
}

func unreachable(issuer string, err error) failure {
	return failure{
		http.StatusBadGateway, "Gatehouse cannot be reached",
		"This application asked " + issuer + " for its metadata and got no usable answer.",
		"Start Gatehouse with “make run” or “gatehouse dev”, wait until it prints its addresses, then try again.", err.Error(),
	}
}

func wrongState() failure {
	return failure{
		http.StatusBadRequest, "This sign-in did not begin in this browser",
		"The state in the address is none that this application gave to this browser, or it was used already, or it is older than a quarter of an hour. " +
			"That is how an application notices that somebody slips it a stranger’s sign-in.",
		"Start again from here.", "",
	}
}

func wrongIssuer(want, got string) failure {
	return failure{
		http.StatusBadRequest, "The answer comes from another issuer",
		"The iss parameter has to name the issuer that was asked (RFC 9207). It protects applications that know several from mixing them up.",
		"Start again from here. If it happens again, compare the issuer in this application’s configuration with the realm’s.",
		fmt.Sprintf("asked: %s\nanswered: %q", want, got),
	}
}

func refused(code, description string) failure {
	f := failure{
		http.StatusForbidden, "Gatehouse refused the sign-in", "It answered with an error instead of a code.",
		"Look the error up in the details, mend it in the realm file or in the application, then start again.", code + "\n" + description,
	}
	switch code {
	case "access_denied":
		f.Why, f.How = "The sign-in was cancelled or is not allowed for this account.", "Start again if that was not what you wanted."
	case "temporarily_unavailable", "server_error":
		f.How = "Wait a moment, then start again. Gatehouse’s log has the cause."
	}
	return f
}

func notExchanged(err *oauth2.RetrieveError) *failure {
	f := failure{
		http.StatusBadGateway, "The code could not be exchanged for tokens",
		"The token endpoint refused it. A code is good for one use and one minute.",
		"Start again from here.", err.ErrorCode + "\n" + err.ErrorDescription,
	}
	if err.ErrorCode == "invalid_client" {
		f.Why = "The token endpoint did not accept this application’s client_id and secret."
		f.How = "Restart “gatehouse dev”, which gives both sides the same secret."
	}
	if err.ErrorCode == "" && err.Response != nil {
		f.Detail = err.Response.Status
	}
	return &f
}

func badToken(err error) failure {
	return failure{
		http.StatusBadGateway, "The ID token cannot be trusted",
		"Its signature, issuer, audience or time did not pass verification, so nothing in it was used.",
		"Start again from here. If it happens again, check that the clocks agree and that the issuer’s keys are the ones it publishes.", err.Error(),
	}
}

func wrongNonce() failure {
	return failure{
		http.StatusBadGateway, "The ID token belongs to another sign-in",
		"Its nonce is not the one that this sign-in asked for. That is how an application notices a token that was used before.",
		"Start again from here.", "",
	}
}

func noUserinfo(err error) failure {
	return failure{
		http.StatusBadGateway, "The userinfo endpoint gave no usable answer",
		"The access token was sent to it, and what came back was an error or about somebody else.",
		"Start again from here. Gatehouse’s log has the cause.", err.Error(),
	}
}

func broken(err error) failure {
	return failure{
		http.StatusInternalServerError, "The demo application has failed", "Something that always works did not.",
		"Restart “gatehouse dev”, then try again.", err.Error(),
	}
}
