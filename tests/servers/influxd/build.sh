#!/bin/sh
# Build the InfluxDB server of go.mod once a machine, into a cache outside the repository.
# Where a tool for that is missing this says so and succeeds: the tests can have their InfluxDB
# from elsewhere (docs/testing.md).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
version=$(sed -n 's|^\tgithub.com/influxdata/influxdb/v2 v||p' go.mod)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/jieshui/influxd-$version
[ -x "$cache/influxd" ] && exit 0

for tool in go cargo gcc pkg-config; do
    command -v "$tool" >/dev/null || missing="${missing:-} $tool"
done
if [ -n "${missing:-}" ]; then
    echo "InfluxDB $version is not built: no$missing (Go and Rust with gcc and pkg-config would do)." >&2
    exit 0
fi
if ! refusal=$(go list -m 2>&1); then
    echo "InfluxDB $version is not built: $refusal" >&2
    exit 0
fi

# Flux asks rustup for one old toolchain; the one at hand builds it too.
if command -v rustup >/dev/null; then
    RUSTUP_TOOLCHAIN=$(cd / && rustup default 2>/dev/null | cut -d' ' -f1)
    if [ -z "$RUSTUP_TOOLCHAIN" ]; then
        echo "InfluxDB $version is not built: rustup has no default toolchain." >&2
        exit 0
    fi
    export RUSTUP_TOOLCHAIN
fi

echo "building InfluxDB $version (once, about four minutes)"
mkdir -p "$(dirname "$cache")"
aside=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$aside"' EXIT
export RUSTC_WRAPPER="$here/rustc-lenient"
export PKG_CONFIG="$aside/tools/pkg-config"
if ! {
    GOBIN=$aside/tools go install github.com/influxdata/pkg-config &&
        go build -o "$aside/influxd" -ldflags "-s -w -X main.version=v$version" \
            -tags sqlite_foreign_keys,sqlite_json github.com/influxdata/influxdb/v2/cmd/influxd
} >"$aside/log" 2>&1; then
    tail -n 30 "$aside/log" >&2
    echo "InfluxDB $version could not be built" >&2
    exit 1
fi
mkdir -p "$cache"
mv "$aside/influxd" "$cache/influxd"
echo "built: $cache/influxd"
