// Package e2e holds whole journeys: a real server on a real PostgreSQL, spoken to over HTTP by a browser or by
// relying-party libraries. It has tests only; this file names the package.
package e2e
