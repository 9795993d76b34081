#!/bin/sh
# A Redis server that asks the Sentinels who leads before it starts, as a real deployment does: one that comes back as a leader of its own would take
# writes that nobody keeps. Arguments: redis-server, its port, its directory, the port of a Sentinel, the port of the first leader,
# and the port under which the others know this one, where that is another.
set -eu
redis=$1 port=$2 dir=$3 sentinel=$4 first=$5 known=${6:-}
cli=$(dirname "$redis")/redis-cli
mkdir -p "$dir"
while :; do
  leader=$("$cli" -h 127.0.0.1 -p "$sentinel" sentinel get-master-addr-by-name cache 2>/dev/null | sed -n 2p) || leader=
  case $leader in *[!0-9]* | '') leader= ;; esac
  # The first time nobody can be asked; one that comes back waits until it is told.
  [ -z "$leader" ] && [ -e "$dir/started" ] || break
  sleep 0.3
done
[ -n "$leader" ] || leader=$first
[ "$leader" != "$known" ] || leader=$port
touch "$dir/started"
set -- "$redis" --port "$port" --bind 127.0.0.1 --dir "$dir" --save '' --appendonly no --repl-diskless-sync-delay 0 --loglevel warning
[ -z "$known" ] || set -- "$@" --replica-announce-ip 127.0.0.1 --replica-announce-port "$known"
[ "$leader" = "$port" ] || set -- "$@" --replicaof 127.0.0.1 "$leader"
exec "$@"
