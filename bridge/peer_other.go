//go:build !linux && !darwin

package bridge

func credentials(int) (Peer, error) { return Peer{}, errNoPeer }

func programOf(int) string { return "" }
