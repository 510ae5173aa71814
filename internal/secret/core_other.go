//go:build unix && !linux

package secret

func keepOutOfCores([]byte) {}
