#!/bin/sh
# Waits until a server is a replica, with all that its leader has. Arguments: redis-server, its port.
set -eu
cli=$(dirname "$1")/redis-cli port=$2
said() { "$cli" -h 127.0.0.1 -p "$port" info replication 2>/dev/null | grep -q "^$1"; }
until said role:slave && said master_link_status:up; do sleep 0.1; done
echo "the server on port $port is a replica"
