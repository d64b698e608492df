//go:build mage

package main

import (
	"context"

	"github.com/dpone/dpone/gates/doctor"
)

// Doctor tells what is installed, what each missing thing disables, and how to get it.
func Doctor(ctx context.Context, plan, v *bool) error {
	return one(ctx, doctor.Gate(), plan, nil, v)
}
