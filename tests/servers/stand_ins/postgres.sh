#!/bin/bash
# As the official image does it: make a new cluster from POSTGRES_*, then start it as user postgres.
set -euo pipefail
export PGDATA=/var/lib/postgresql/data PGHOST=/var/run/postgresql
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" "$PGHOST"
    chown -R 999:999 "$PGDATA" "$PGHOST"
    chmod 700 "$PGDATA"
    exec setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
if [ ! -e "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_USER:=postgres}"
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
    initdb -U "$POSTGRES_USER" -E UTF8 --locale=C.UTF-8 \
        --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") >/dev/null
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl -w -s -o "-c listen_addresses=''" start
    database=${POSTGRES_DB:-$POSTGRES_USER}
    [ "$database" = postgres ] || createdb -U "$POSTGRES_USER" "$database"
    pg_ctl -w -s -m fast stop
fi
exec "$@"
