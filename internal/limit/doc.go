// Package limit bounds how often something may happen that is fine in itself
// (requests, mails sent, registrations), by rates: so many at once, and one more
// every so often. Tries at what somebody should know are counted elsewhere (package
// attempt), because limits may lose count and those may not.
//
// The source decides where the numbers live. [Memory] keeps them in the process.
// A source that asks another machine falls back to memory by itself when that
// machine is away: no method can fail, and none ever means "unlimited". Every
// source passes the suite in package limittest.
//
// Keys are made by the caller and already hold the realm and canonical names.
package limit
