// Package guest holds the end-to-end scenarios. Its test binary is built and
// run by package e2e, inside the virtual machine, as root; anywhere else it
// runs no test, because its tests plug and unplug USB devices, start a pcscd
// and install udev rules.
package guest
