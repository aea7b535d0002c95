#!/bin/bash
# As the official image does it: set up a new server from DOCKER_INFLUXDB_INIT_*, then start it.
set -euo pipefail
export INFLUXD_BOLT_PATH=/var/lib/influxdb2/influxd.bolt INFLUXD_ENGINE_PATH=/var/lib/influxdb2/engine
export INFLUXD_REPORTING_DISABLED=true

secret() { # NAME: the variable's value, or what is in the file that NAME_FILE names
    local file="$1_FILE"
    if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!1:-}"; fi
}
if [ ! -e "$INFLUXD_BOLT_PATH" ] && [ "${DOCKER_INFLUXDB_INIT_MODE:-}" = setup ]; then
    INFLUXD_HTTP_BIND_ADDRESS=:9999 influxd &
    until curl -fsS localhost:9999/ping; do sleep 0.2; done
    curl -fsS -o /dev/null localhost:9999/api/v2/setup -d @- <<JSON
{"username": "${DOCKER_INFLUXDB_INIT_USERNAME}", "org": "${DOCKER_INFLUXDB_INIT_ORG}",
 "bucket": "${DOCKER_INFLUXDB_INIT_BUCKET}", "password": "$(secret DOCKER_INFLUXDB_INIT_PASSWORD)",
 "token": "$(secret DOCKER_INFLUXDB_INIT_ADMIN_TOKEN)"}
JSON
    kill %1
    wait %1 || true
fi
exec "$@"
