// Package x stands in for github.com/ory/x, of which fosite uses a dozen functions.
//
// The original brings tracing exporters, gRPC, a logger and an ORM into every program that links fosite:
// 53 modules and 15 MB instead of 26 modules and 6 MB. Its errorsx.WithStack also captures a stack for every
// error that fosite makes, expected ones included, which is 10 % of a token request's CPU. The stand-in is
// written from the signatures that fosite calls. The price is the replace directive in go.mod: the command
// cannot be installed by `go install …@latest`, only built from a checkout.
package x
