//go:build cgo && unix

// Libkaztoken-pkcs11 is the PKCS #11 module of bridge/pkcs11 as a shared library:
//
//	go build -buildmode=c-shared -o libkaztoken-pkcs11.so kaztoken/cmd/libkaztoken-pkcs11
//
// (make pkcs11 has the linker export the C_ functions alone). It reaches tokens as
// the commands of kaztoken do: through a smart-card service that shows them, over
// USB otherwise.
package main

/*
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"kaztoken/bridge/client"
	"kaztoken/bridge/pkcs11"
	"kaztoken/cmd/libkaztoken-pkcs11/internal/roads"
	"kaztoken/internal/host"
	"kaztoken/internal/nap"
)

// version is that of the program, set by the linker: "v1.2.3".
var version = "unknown"

// The environment is the one that the program in C has made for itself by now.
func init() {
	client.Getenv = func(name string) string {
		n := C.CString(name)
		defer C.free(unsafe.Pointer(n))
		return C.GoString(C.getenv(n))
	}
}

// module is the one of this process. Nothing is done with it before C_Initialize.
var module = pkcs11.New(roads.New(host.Options{}), libraryVersion(version))

// libraryVersion is what C_GetInfo tells of a version: its first two numbers, 0.0
// if it has none.
func libraryVersion(s string) (v [2]byte) {
	if n, err := fmt.Sscanf(s, "v%d.%d", &v[0], &v[1]); n != len(v) || err != nil {
		return [2]byte{}
	}
	return v
}

// lendProcessors lets calls keep a processor of Go's scheduler while they wait for
// the smart-card service for a moment, see package nap. There are some to spare also
// on a machine with one core: who waits takes none of its time.
var lendProcessors = sync.OnceFunc(func() {
	const spare, most = 2, 4
	n := max(spare+1, runtime.GOMAXPROCS(0))
	runtime.GOMAXPROCS(n)
	nap.Allow(min(n-spare, most))
})

func main() {}
