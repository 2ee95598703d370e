package web

// The data of the templates in pages/. A template reads fields by name, so that a step may pass a type of its own
// with the same fields instead.

// Hidden is a form field that nobody sees.
type Hidden struct{ Name, Value string }

// Login is the data of "login", posted as username, password and remember.
type Login struct {
	// Identifier is filled in: the login hint, or what was typed before.
	Identifier string
	// EmailOnly says that the realm knows people by e-mail address alone.
	EmailOnly bool
	// OfferRemember shows "Keep me signed in"; Remember ticks it.
	OfferRemember, Remember bool
	// Confirm says that the person is signed in and must prove it again.
	Confirm bool
	// ForgotURL, SignUpURL and CodeURL are paths of our own; "" leaves the link out.
	ForgotURL, SignUpURL, CodeURL string
}

// Restart is the data of "restart".
type Restart struct {
	// URL is the path of our own where it starts again.
	URL string
}

// Logout is the data of "logout".
type Logout struct {
	// Apps names the applications that will be told.
	Apps []string
	// Hidden carries the request through the form.
	Hidden []Hidden
	// StayURL is where "Stay signed in" leads; "" leaves it out.
	StayURL string
}

// SignedOut is the data of "signed-out".
type SignedOut struct {
	// App is the application's name, "" when none asked.
	App string
	// URL is the application's validated address or a path of our own; "" leaves the link out.
	URL string
}

const formPostTemplate = "formpost"

// FormPost is the data of "formpost". Page.FormAction must admit the URL.
type FormPost struct {
	// URL is the validated redirect address.
	URL string
	// Hidden is the authorization response.
	Hidden []Hidden
}
