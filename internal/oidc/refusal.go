package oidc

import (
	"errors"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Refusals answers what fails before an endpoint that programs call is reached, such as finding its realm, in the form
// of the endpoint's own errors (RFC 6749 §5.2): its callers read no other.
func (p *Provider) Refusals(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		err := next(c)
		if err == nil {
			return nil
		}
		if response, unwrapErr := echo.UnwrapResponse(c.Response()); unwrapErr == nil && response.Committed {
			return err
		}
		var found *problem.E
		if errors.As(err, &found) {
			err = p.asRefusal(found)
		}
		return p.refuseToken(c, nil, err)
	}
}

// asRefusal is a problem in the protocol's words, with the status of the problem.
func (p *Provider) asRefusal(found *problem.E) *protocolError {
	e := &protocolError{Code: codeInvalidRequest, Description: describe(codeInvalidRequest), cause: found, status: web.Status(found.Code)}
	switch found.Code { //nolint:exhaustive // others do not happen here, or have nothing more to say
	case problem.Internal:
		return asProtocolError(found)
	case problem.Unavailable:
		return unavailable(found)
	case problem.RealmUnknown, problem.HostUnknown:
		e.Description = "There is no issuer at this address."
	case problem.RealmDisabled:
		e.Description = "The issuer is switched off."
	case problem.PayloadTooLarge:
		e.Description = "The body is too large."
	}
	if p.Development && found.Hint != "" {
		e.Description = found.Hint
	}
	return e
}
