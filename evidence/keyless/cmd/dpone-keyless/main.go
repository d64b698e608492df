// Command dpone-keyless signs statements and verifies bundles as Sigstore does
// it, without a key of one's own. It reads one request as JSON on standard
// input and writes one response as JSON on standard output; package
// evidence/sign/wire has both. It takes no arguments. Secrets stand in the
// request or in the environment:
//
//	ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN, or SIGSTORE_ID_TOKEN
//
// Exit codes: 0 done, 1 refused (the response says why), 2 misuse, 3 the
// response could not be written.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/dpone/dpone/evidence/keyless"
)

func main() {
	os.Exit(run()) //nolint:forbidigo // a command says how it ended by its code
}

func run() int {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "dpone-keyless: it takes no arguments: give the request on standard input")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	refused, err := keyless.Serve(ctx, os.Stdin, os.Stdout, os.Getenv, nil)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "dpone-keyless:", err)
		return 3
	case refused:
		return 1
	}
	return 0
}
