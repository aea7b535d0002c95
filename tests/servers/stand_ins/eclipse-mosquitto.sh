#!/bin/bash
# As the official image does it: Mosquitto itself goes from root to its own user.
set -euo pipefail
mkdir -p /mosquitto/data /mosquitto/log
chown -R 1883:1883 /mosquitto
exec "$@"
