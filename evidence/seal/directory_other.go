//go:build !linux

package seal

import "errors"

func openNative(string) (directory, error) { return nil, errors.ErrUnsupported }
