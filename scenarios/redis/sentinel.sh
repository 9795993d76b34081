#!/bin/sh
# A Sentinel of three. It writes what it learns into its own configuration file. Arguments: redis-server, its port, its directory, the leader's port.
set -eu
redis=$1 port=$2 dir=$3 leader=$4
mkdir -p "$dir"
[ -e "$dir/sentinel.conf" ] || cat > "$dir/sentinel.conf" <<CONF
port $port
bind 127.0.0.1
dir $dir
loglevel warning
sentinel monitor cache 127.0.0.1 $leader 2
sentinel down-after-milliseconds cache 1000
sentinel failover-timeout cache 5000
sentinel parallel-syncs cache 1
CONF
exec "$redis" "$dir/sentinel.conf" --sentinel
