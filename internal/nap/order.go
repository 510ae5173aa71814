//go:build linux && !race

package nap

func sending()  {}
func received() {}
