// Package e2e runs the program on a real Linux kernel: a virtual machine is
// booted once (e2e/vm), the scenarios of e2e/guest run inside it, with software
// tokens plugged into its USB and the stock smart-card stack beside ours, and
// each is reported as a subtest here.
//
//	go test -tags e2e -count=1 -v ./e2e                         all scenarios
//	go test -tags e2e -count=1 -v ./e2e -e2e.run TestPlug       some of them
//	go test -tags e2e -count=1 -v ./e2e -e2e.bench              measurements
//
// The build tag keeps a plain `go test ./...` from booting machines; -count=1
// is needed because go test cannot see what the guest's programs are built from.
package e2e
