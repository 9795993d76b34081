#!/bin/sh
# Holds the directory of the two servers' data, and removes it when it is asked to stop, which is last of all. Arguments: the directory.
set -eu
data=$1
[ ! -e "$data" ] || { echo "$data is there already: remove it, or give another with --var data=DIR" >&2; exit 1; }
mkdir -m 700 "$data"
[ "$(id -u)" != 0 ] || chown postgres "$data"
trap 'rm -rf "$data"; exit 0' TERM INT HUP
echo ready > "$data/ready"
while :; do sleep 1 & wait $!; done
