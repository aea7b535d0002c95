#!/bin/sh
# Print where Telegraf is, the peer of the ingestion benchmarks; built once a machine, with the
# plugins that they use, into a cache outside the repository.
set -eu

cd "$(dirname "$0")/telegraf"
version=$(sed -n 's|^require github.com/influxdata/telegraf v||p' go.mod)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/jieshui/telegraf-$version
if [ ! -x "$cache/telegraf" ]; then
    command -v go >/dev/null || {
        echo "Telegraf $version can't be built: no go" >&2
        exit 1
    }
    echo "building Telegraf $version (once, about half a minute)" >&2
    mkdir -p "$(dirname "$cache")"
    aside=$(mktemp -d "$cache.XXXXXX")
    trap 'rm -rf "$aside"' EXIT
    go mod download github.com/influxdata/telegraf
    # In its own module, whose sums pin everything that it is made of.
    cd "$(go list -m -f '{{.Dir}}' github.com/influxdata/telegraf)"
    CGO_ENABLED=0 go build -o "$aside/telegraf" \
        -ldflags "-s -w -X github.com/influxdata/telegraf/internal.Version=$version" \
        -tags custom,inputs.mqtt_consumer,outputs.influxdb_v2,parsers.json,parsers.json_v2,serializers.influx \
        ./cmd/telegraf
    mkdir -p "$cache"
    mv "$aside/telegraf" "$cache/telegraf"
fi
echo "$cache/telegraf"
