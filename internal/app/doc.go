// Package app is the composition root: it makes every part from the configuration, hands each the few things it
// needs, and runs the process. Nothing else reads the clock, and what can be plugged in is listed in plugins.go.
package app
