#!/bin/sh
# Stand-ins of the official images for a machine whose Docker engine can pull none: the programs of
# this machine with the libraries that they need, in images named stand-in/influxdb:2,
# stand-in/postgres:16 and stand-in/eclipse-mosquitto:2.
# They prove the tests' way through Docker, not the official images; the versions are this machine's.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

find_program() { # NAME: where Debian or our own build keeps it
    for place in "$(command -v "$1" || true)" "/usr/sbin/$1" \
        "${XDG_CACHE_HOME:-$HOME/.cache}"/jieshui/influxd-*/"$1"; do
        [ -x "$place" ] && echo "$place" && return
    done
    echo "$1 is not on this machine (make servers)" >&2
    exit 1
}

take_libraries() { # FILE…: the shared libraries of programs, where the loader looks for them
    ldd "$@" 2>/dev/null | grep -o '/[^ :]* (' | cut -d' ' -f1 | sort -u |
        xargs cp -L --parents -t "$root"
}

take() { # PROGRAM…: with their libraries, into /usr/local/bin
    for program in "$@"; do
        cp -L "$(find_program "$program")" "$root/usr/local/bin/"
    done
    take_libraries "$root"/usr/local/bin/*
}

begin() { # NAME: an empty file system that can run the entrypoint
    name=$1
    root=$work/$name
    mkdir -p "$root/usr/local/bin" "$root/usr/bin" "$root/usr/sbin" "$root/bin" "$root/etc"
    mkdir -m 1777 "$root/tmp"
    take bash sh cat chmod chown id mkdir setpriv sleep
    ln -s /usr/local/bin/bash /usr/local/bin/sh "$root/bin/"
    cat >"$root/etc/passwd" <<PASSWD
root:x:0:0::/root:/bin/sh
postgres:x:999:999::/:/bin/sh
mosquitto:x:1883:1883::/:/bin/sh
PASSWD
    sed 's/\([^:]*\):x:\([0-9]*\):.*/\1:x:\2:/' "$root/etc/passwd" >"$root/etc/group"
    cp "$here/stand_ins/$name.sh" "$root/entrypoint.sh"
}

finish() { # TAG PORT COMMAND, like ["influxd"]
    tar -C "$root" -c . | docker import \
        --change "ENV PATH=/usr/local/bin:/usr/bin" --change 'ENTRYPOINT ["/entrypoint.sh"]' \
        --change "CMD $3" --change "EXPOSE $2" - "stand-in/$name:$1" >/dev/null
    echo "stand-in/$name:$1"
}

begin influxdb
take influxd curl
mkdir -p "$root/var/lib/influxdb2"
finish 2 8086 '["influxd"]'

begin eclipse-mosquitto
take mosquitto mosquitto_sub mosquitto_pub mosquitto_passwd
mkdir -p "$root/mosquitto/config"
finish 2 1883 '["mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]'

begin postgres
programs=$(dirname "$(readlink -f "$(find_program initdb)")")
version=$(basename "$(dirname "$programs")")
cp -r --parents -t "$root" "/usr/lib/postgresql/$version" "/usr/share/postgresql/$version" \
    /usr/share/zoneinfo /usr/lib/locale/C.utf8
rm -rf "$root/usr/lib/postgresql/$version/lib/bitcode" "$root/usr/lib/postgresql/$version/lib/"llvmjit*
take_libraries "$programs"/* "/usr/lib/postgresql/$version/lib/"*.so
ln -s "$programs"/* "$root/usr/local/bin/"
finish 16 5432 '["postgres"]'

echo "test with: TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX=stand-in/ TESTCONTAINERS_RYUK_DISABLED=true make test-docker"
