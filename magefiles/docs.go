//go:build mage

package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/gates/docs/browser"
	"github.com/dpone/dpone/gates/docs/build"
	"github.com/dpone/dpone/gates/docs/serve"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/source"
	"github.com/dpone/dpone/gates/target"
)

// Docs builds, checks and shows the documentation.
type Docs mg.Namespace

func siteOptions() site.Options {
	return site.Options{Title: "dpone", Repository: "https://github.com/dpone/dpone"}
}

// Build builds the site of docs/, strictly: every link, anchor, heading, picture and diagram is right.
func (Docs) Build(
	ctx context.Context,
	out *string, // folder that takes the site when all is right, for example site
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the output of a green run, too
) error {
	options := build.Options{Site: siteOptions(), Out: value(out)}
	if err := options.Validate(); err != nil {
		return err
	}
	return one(ctx, build.Gate(options), plan, timeout, v)
}

// Serve shows the site on this machine and builds it again after each change; Ctrl-C ends it.
func (Docs) Serve(
	ctx context.Context,
	port *int, // port on 127.0.0.1; 8000 if not given, 0 for a free one
) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	options := serve.Options{Site: siteOptions(), Root: source.Root(wd), Port: 8000, Stdout: os.Stdout}
	if port != nil {
		options.Port = *port
	}
	return serve.Run(ctx, options)
}

func browserOptions() browser.Options {
	return browser.Options{Site: siteOptions(), Cache: os.Getenv(target.EnvToolCache)}
}

// Browser looks at the site in a headless Chromium: errors, requests, contrast, keyboard, phone, light and dark.
func (Docs) Browser(
	ctx context.Context,
	dir *string, // a built site to look at, relative to the root; it is built if not given
	pages *string, // only these pages, for example index.html,engine.html
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the output of a green run, too
) error {
	options := browserOptions()
	options.Dir = value(dir)
	if names := value(pages); names != "" {
		options.Pages = strings.Split(names, ",")
	}
	return one(ctx, browser.Gate(options), plan, timeout, v)
}

// Diagrams draws the Mermaid blocks that have no picture, in a headless Chromium, and removes unused pictures.
func (Docs) Diagrams(
	ctx context.Context,
	again *bool, // draw those that have a picture, too
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the output of a green run, too
) error {
	options := browserOptions()
	options.Again = value(again)
	return one(ctx, browser.DiagramsGate(options), plan, timeout, v)
}
