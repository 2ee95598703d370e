package oidc

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/ory/fosite"

	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/oidc/admission"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// The error codes of RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, RFC 8707 §2 and OpenID Connect Core §3.1.2.6 that are
// made in this package.
const (
	codeInvalidRequest      = "invalid_request"
	codeInvalidClient       = "invalid_client"
	codeInvalidGrant        = "invalid_grant"
	codeInvalidScope        = "invalid_scope"
	codeInvalidTarget       = "invalid_target"
	codeInvalidToken        = "invalid_token"
	codeInsufficientScope   = "insufficient_scope"
	codeUnauthorizedClient  = "unauthorized_client"
	codeUnsupportedGrant    = "unsupported_grant_type"
	codeUnsupportedResponse = "unsupported_response_type"
	codeServerError         = "server_error"
	codeUnavailable         = "temporarily_unavailable"
	codeRequestUnsupported  = "request_not_supported"
	codeRequestURI          = "request_uri_not_supported"
	codeRegistration        = "registration_not_supported"
	codeAccessDenied        = "access_denied"
	codeLoginRequired       = string(flow.LoginRequired)
)

// protocolError is an error as the protocol names it. The description is ours and safe to show; the cause is for
// the log.
type protocolError struct {
	Code        string
	Description string
	cause       error
	status      int // 0 is that of the code
}

func refuse(code, description string) *protocolError {
	return &protocolError{Code: code, Description: description}
}

func (e *protocolError) because(err error) *protocolError {
	return &protocolError{e.Code, e.Description, err, e.status}
}

// Error implements error, for the log.
func (e *protocolError) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Description
}

// Unwrap returns the cause.
func (e *protocolError) Unwrap() error { return e.cause }

// Status is the HTTP status of the error at endpoints that programs call.
func (e *protocolError) Status() int {
	if e.status != 0 {
		return e.status
	}
	switch e.Code {
	case codeInvalidClient, codeInvalidToken:
		return http.StatusUnauthorized
	case codeInsufficientScope:
		return http.StatusForbidden
	case codeSlowDown:
		return http.StatusTooManyRequests
	case codeServerError:
		return http.StatusInternalServerError
	case codeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// outcome is the error as the metric of tokens names it.
func (e *protocolError) outcome() string {
	switch {
	case e.ours():
		return "failed"
	case e.Code == codeSlowDown:
		return "limited"
	}
	return "refused"
}

// ours tells whether the error is this server's fault and not the request's.
func (e *protocolError) ours() bool { return e.Code == codeServerError || e.Code == codeUnavailable }

// asProtocolError finds or makes the protocol's error for err. fosite's texts stay behind: its code is kept and
// described in our words.
func asProtocolError(err error) *protocolError {
	var own *protocolError
	if errors.As(err, &own) {
		return own
	}
	var soon admission.TooSoon
	if errors.As(err, &soon) {
		return refuse(codeSlowDown, slowDownText).because(err)
	}
	if postgres.Unavailable(err) {
		return unavailable(err)
	}
	var rfc *fosite.RFC6749Error
	if errors.As(err, &rfc) {
		// Its Error() is the code alone; what happened is in these two, for the log.
		err = fmt.Errorf("%w: %s %s", err, rfc.HintField, rfc.DebugField)
		if rfc.ErrorField != codeServerError {
			return refuse(rfc.ErrorField, describe(rfc.ErrorField)).because(err)
		}
	}
	return refuse(codeServerError, "The server failed. The cause is in its log under this response's X-Request-Id.").because(err)
}

func unavailable(err error) *protocolError {
	return refuse(codeUnavailable, "The server cannot answer right now. Try again in a moment.").because(err)
}

func describe(code string) string {
	switch code {
	case codeInvalidGrant:
		return "The code is unknown, expired, used, issued to another client or for another redirect_uri, or its code_verifier does not match."
	case codeUnauthorizedClient:
		return "The client may not use this grant type."
	case codeInvalidScope:
		return "A requested scope is unknown or not allowed for this client."
	case codeUnsupportedResponse:
		return "The response_type is not supported for this client; use code."
	case codeUnsupportedGrant:
		return "The grant_type is not supported."
	case codeInvalidClient:
		return "Client authentication failed."
	}
	return "The request is not valid."
}
