#!/bin/sh
# Make what an installation with Docker Compose needs before its first start: secrets, the broker's
# certificates and logins, the configuration. What is there already stays as it is.
#   deploy/prepare.sh water.example.gov.cn      the name by which suppliers and people reach it
#   deploy/prepare.sh localhost --demo          for the profile demo: a virtual city and its clock
# It goes to deploy/city, or where JIESHUI_CITY says; only Docker and the image are needed.
set -eu

host=${1:?"usage: deploy/prepare.sh HOST, the name by which suppliers and people reach it"}
cd "$(dirname "$0")"
here=$(pwd)
city=${JIESHUI_CITY:-./city}

mkdir -p "$city"
city=$(cd "$city" && pwd)

# As root of the container, so that the files get the owner that the containers run as.
docker run --rm --interactive --network none --user 0:0 --entrypoint /bin/sh --workdir /city \
    --volume "$city:/city" --volume "$here/jieshui.toml:/template.toml:ro" \
    "${JIESHUI_IMAGE:-jieshui}" -eu -s "$host" "${2:-}" <<'INSIDE'
umask 077

secret() {
    [ -e "secrets/$1" ] && return
    python3 -c 'import secrets; print(secrets.token_urlsafe(32))' >"secrets/$1.new"
    mv "secrets/$1.new" "secrets/$1"
}

mkdir -p secrets keys
for name in influx-password influx-token postgres-password grafana-admin-password grafana-password; do
    secret "$name"
done
client_id=jieshui-$(python3 -c 'import secrets; print(secrets.token_hex(8))')
[ -e jieshui.toml ] ||
    sed "s/^client_id = \"jieshui\"/client_id = \"$client_id\"/" /template.toml >jieshui.toml
jieshui broker init broker --host "$1" --host broker --host localhost \
    --seen-as /mosquitto/config --data /mosquitto/data >/dev/null

if [ "$2" = --demo ] && ! [ -e demo ]; then
    rm -rf demo.new
    python -m simulators --seed 1 --broker broker:8883 --folder demo.new --files-only
    for supplier in $(sed '1d; s/,.*//' demo.new/registry/suppliers.csv); do
        # Without a configuration: there is no registry yet in which it could look.
        (cd demo.new && env --unset=JIESHUI_CONFIG jieshui broker add-supplier "$supplier" \
            --folder ../broker --out "suppliers/$supplier" >/dev/null)
    done
    python - <<'PYTHON'
import datetime, json, pathlib
folders = pathlib.Path("demo.new/suppliers").iterdir()
passwords = {folder.name: (folder / "password").read_text().strip() for folder in folders}
pathlib.Path("demo.new/passwords.json").write_text(json.dumps(passwords))
now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
with open("jieshui.toml", "a") as file:
    file.write(f"\n[clock]\nanchor = {now}\nshown = 2026-09-15T00:00:00+08:00\nspeed = 60\n")
PYTHON
    mv demo.new demo
fi

chown -R 1883:1883 .
# InfluxDB, PostgreSQL and Grafana run as users of their own, in our group.
chmod 0640 secrets/*
INSIDE

echo "$city holds secrets, certificates and jieshui.toml: look through the last one, back all up."
