package system

import "errors"

// ErrUnavailable says that a system cannot be had on this machine; the text says why and what to do.
var ErrUnavailable = errors.New("system not available")
