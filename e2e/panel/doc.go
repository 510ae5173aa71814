// Package panel drives the control panel as a person does: the real program, serving
// a token in software or those of a PC/SC service, and a real browser in front of it,
// Debian's Chromium. Its tests need the build tag e2e.
package panel
