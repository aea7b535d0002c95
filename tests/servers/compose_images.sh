#!/bin/sh
# Stand-ins of the images that deploy/ names, for a machine whose Docker engine can pull none: this
# Debian's programs (as root, with debootstrap) with the users, volumes and entrypoints of the
# official images. They prove compose.yaml, not the official images. Then
#
#   JIESHUI_TEST_MIRROR=compose-stand-in/ make test-image BASE=compose-stand-in/python:3.11
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # NAME:TAG, the Dockerfile on standard input, files of $work
    docker build --quiet --tag "compose-stand-in/$1" --file - "$work" >/dev/null
    echo "compose-stand-in/$1"
}

cp "$here"/stand_ins/*.sh /etc/ssl/certs/ca-certificates.crt "$work"
cp "${XDG_CACHE_HOME:-$HOME/.cache}"/jieshui/influxd-*/influxd "$work"

debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
    bookworm "$work/root" >/dev/null
tar -C "$work/root" -c . | docker import - compose-stand-in/debian:bookworm >/dev/null
rm -rf "$work/root"

# The machine's own authorities, which the way to a package index may need.
build python:3.11 <<'DOCKERFILE'
FROM compose-stand-in/debian:bookworm
COPY ca-certificates.crt /etc/ssl/certs/
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
DOCKERFILE

build influxdb:2 <<'DOCKERFILE'
FROM compose-stand-in/debian:bookworm
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends curl \
 && groupadd --gid 1000 influxdb && useradd --uid 1000 --gid 1000 --create-home influxdb \
 && install -d -o influxdb -g influxdb /var/lib/influxdb2 /etc/influxdb2 \
 && printf '#!/bin/sh\nexec curl -fsS localhost:8086/"$1"\n' >/usr/local/bin/influx \
 && chmod +x /usr/local/bin/influx
COPY influxd /usr/local/bin/
COPY influxdb.sh /entrypoint.sh
VOLUME /var/lib/influxdb2 /etc/influxdb2
ENTRYPOINT ["/entrypoint.sh"]
CMD ["influxd"]
DOCKERFILE

build postgres:16 <<'DOCKERFILE'
FROM compose-stand-in/debian:bookworm
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 postgres \
 && apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql-common \
 && sed -ri 's/#(create_main_cluster) .*$/\1 = false/' /etc/postgresql-common/createcluster.conf \
 && apt-get install -y -qq --no-install-recommends postgresql \
 && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
 && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data \
 && install -d -o postgres -g postgres -m 3777 /var/run/postgresql
COPY postgres.sh /entrypoint.sh
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["/entrypoint.sh"]
CMD ["postgres", "-c", "listen_addresses=*"]
DOCKERFILE

build eclipse-mosquitto:2 <<'DOCKERFILE'
FROM compose-stand-in/debian:bookworm
RUN groupadd --gid 1883 mosquitto && useradd --uid 1883 --gid 1883 mosquitto \
 && apt-get update -qq && apt-get install -y -qq --no-install-recommends mosquitto \
 && install -d -o mosquitto -g mosquitto /mosquitto/config /mosquitto/data
VOLUME /mosquitto/data
CMD ["/usr/sbin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]
DOCKERFILE

build nginx:1 <<'DOCKERFILE'
FROM compose-stand-in/debian:bookworm
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light curl
STOPSIGNAL SIGQUIT
DOCKERFILE
