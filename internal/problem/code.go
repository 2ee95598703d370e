package problem

// Code says what happened, for programs and for message keys. Codes are part of
// the admin API's contract: once released, a code keeps its meaning.
type Code string

// The codes. Each has a message "error.<code>" in every catalogue.
const (
	InvalidRequest   Code = "invalid_request"    // the request is malformed or fails validation; see Fields
	Unauthorized     Code = "unauthorized"       // nobody is signed in, or the credential is missing, wrong or expired
	Forbidden        Code = "forbidden"          // signed in, but this is not allowed
	NotFound         Code = "not_found"          // no such thing, or not one the caller may know of
	MethodNotAllowed Code = "method_not_allowed" // the address exists, the method does not
	NotAcceptable    Code = "not_acceptable"     // none of the forms the caller accepts can be produced
	Conflict         Code = "conflict"           // it exists already, or it is used elsewhere
	Stale            Code = "stale"              // it was changed by somebody else since the caller read it
	Gone             Code = "gone"               // it existed and has ended: a used link, an expired page
	PayloadTooLarge  Code = "payload_too_large"  // the body, the address or a header exceeds its limit
	UnsupportedMedia Code = "unsupported_media"  // the body's content type is not one we read
	TooManyRequests  Code = "too_many_requests"  // a limit was reached; see RetryAfter
	Unavailable      Code = "unavailable"        // something we depend on is away or we are full; try again
	Internal         Code = "internal"           // our fault; the log has the cause under the request id

	RealmUnknown  Code = "realm_unknown"  // the address names no realm
	RealmDisabled Code = "realm_disabled" // the realm exists and is switched off
	HostUnknown   Code = "host_unknown"   // the Host header is not one that we serve

	FlowUnknown    Code = "flow_unknown"    // the page belongs to no sign-in that we know of any more
	FlowExpired    Code = "flow_expired"    // the sign-in lapsed and can be started again
	CookieMissing  Code = "cookie_missing"  // the browser did not send the cookie that binds the page to it
	CrossSite      Code = "cross_site"      // a form came from another site
	ClientUnknown  Code = "client_unknown"  // the application is not registered or is switched off
	RedirectDenied Code = "redirect_denied" // the return address is not one registered for the application
)

// Codes lists every code, in the order of the constants, for tests and for the
// published description of the API.
func Codes() []Code {
	return []Code{
		InvalidRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable,
		Conflict, Stale, Gone, PayloadTooLarge, UnsupportedMedia, TooManyRequests, Unavailable, Internal,
		RealmUnknown, RealmDisabled, HostUnknown,
		FlowUnknown, FlowExpired, CookieMissing, CrossSite, ClientUnknown, RedirectDenied,
	}
}
