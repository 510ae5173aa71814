package secret

import "golang.org/x/sys/unix"

func keepOutOfCores(pages []byte) { _ = unix.Madvise(pages, unix.MADV_DONTDUMP) }
