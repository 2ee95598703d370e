// Package errorsx holds the error interfaces that fosite's RFC6749Error answers to.
package errorsx

// WithStack returns err as it is: the request id in the log finds the place, a stack per error costs more.
func WithStack(err error) error { return err }

// Cause follows Cause methods to the innermost error.
func Cause(err error) error {
	for err != nil {
		c, ok := err.(interface{ Cause() error })
		if !ok || c.Cause() == nil {
			return err
		}
		err = c.Cause()
	}
	return nil
}

// StatusCodeCarrier is an error with an HTTP status code.
type StatusCodeCarrier interface{ StatusCode() int }

// RequestIDCarrier is an error with a request id.
type RequestIDCarrier interface{ RequestID() string }

// ReasonCarrier is an error with a reason.
type ReasonCarrier interface{ Reason() string }

// DebugCarrier is an error with text for developers.
type DebugCarrier interface{ Debug() string }

// StatusCarrier is an error with a status text.
type StatusCarrier interface{ Status() string }

// DetailsCarrier is an error with details.
type DetailsCarrier interface{ Details() map[string]any }
