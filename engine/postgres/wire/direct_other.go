//go:build !linux

package wire

import "context"

// direct is for systems whose calls are known here.
func direct(context.Context, *Out, *In, func([]byte) error) (bool, error) { return false, nil }
