//go:build tools

// Package openid names the program that build.sh makes, so that go.sum holds its sums.
package openid

import _ "github.com/zitadel/oidc/v3/example/server"
