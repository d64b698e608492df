// SPDX-License-Identifier: MIT

// Package slug makes names for files and addresses of titles.
package slug

import "strings"

// Of is the title in lower case, with a dash between its words.
func Of(title string) string { return strings.Join(strings.Fields(strings.ToLower(title)), "-") }
