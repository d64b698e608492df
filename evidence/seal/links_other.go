//go:build !unix

package seal

import "io/fs"

const noWait = 0

func hardLinks(fs.FileInfo) uint64 { return 1 }
