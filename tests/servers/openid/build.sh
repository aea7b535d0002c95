#!/bin/sh
# Build the OpenID Connect provider of go.mod once a machine, into a cache outside the repository:
# the example server of a certified implementation. Without Go this says so and succeeds.
set -eu

cd "$(dirname "$0")"
version=$(sed -n 's|^require github.com/zitadel/oidc/v3 v||p' go.mod)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/jieshui/openid-$version
[ -x "$cache/provider" ] && exit 0
if ! refusal=$(go list -m 2>&1); then
    echo "the OpenID Connect provider is not built: $refusal" >&2
    exit 0
fi
echo "building the OpenID Connect provider $version (once, a quarter of a minute)"
mkdir -p "$cache"
aside=$(mktemp -d "$cache/XXXXXX")
trap 'rm -rf "$aside"' EXIT
go build -ldflags "-s -w" -o "$aside/provider" github.com/zitadel/oidc/v3/example/server
mv "$aside/provider" "$cache/provider"
echo "built: $cache/provider"
