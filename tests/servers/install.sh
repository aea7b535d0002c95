#!/bin/sh
# Install from Debian's or Ubuntu's own packages what the full test set wants, and build InfluxDB.
set -eu

wanted="mosquitto mosquitto-clients postgresql chromium fonts-noto-cjk strace"

install_missing() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "make servers knows Debian and Ubuntu only; install by hand: mosquitto (with its clients)," >&2
        echo "PostgreSQL, Chromium, Noto CJK fonts, strace" >&2
        exit 1
    fi
    missing=""
    for package in $wanted; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        echo "present: $wanted"
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "make servers installs$missing and needs root: sudo make servers" >&2
        exit 1
    fi
    # Debian starts a service on installation; the tests start their own, so none is wanted here.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}

install_missing
"$(dirname "$0")/influxd/build.sh"
"$(dirname "$0")/openid/build.sh"
