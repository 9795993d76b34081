#!/bin/sh
# One of two PostgreSQL servers. Where the other one leads, this one becomes its standby, with a fresh copy. Otherwise it leads, but only once: a leader that
# was lost and comes back stays fenced until `rejoin.sh` has made a standby of it, because two leaders are worse than none. Arguments: directory of the programs, its name, its port, the other's port,
# the directory for data, the port that it copies from and follows, and the standbys that a commit waits for.
set -eu
bin=$1 name=$2 port=$3 other=$4 data=$5 upstream=$6 sync=$7
dir=$data/$name
# The server refuses to run as root.
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; else "$@"; fi; }
leads() { [ "$("$bin/psql" -h 127.0.0.1 -p "$1" -U firedrill -d postgres -Atc 'select pg_is_in_recovery()' 2>/dev/null)" = f ]; }

cd /
if [ -e "$dir/PG_VERSION" ] && [ ! -e "$dir/standby.signal" ]; then
  echo "it led, and is fenced: waiting for $data/$name.rejoined" >&2
  while [ ! -e "$data/$name.rejoined" ]; do sleep 0.3; done
  sync=
elif [ -e "$dir/PG_VERSION" ]; then
  sync=
elif leads "$other"; then
  as "$bin/pg_basebackup" -d "host=127.0.0.1 port=$upstream user=firedrill application_name=standby" -D "$dir" -R -X stream -c fast --no-sync
  sync=
else
  # `pg_rewind` needs checksums, or `wal_log_hints`, of a leader before it is lost.
  as "$bin/initdb" -D "$dir" --data-checksums -A trust -U firedrill -E UTF8 --locale=C --no-sync >/dev/null
  # In the file, not on the command line: `pg_rewind` starts the lost leader once more by itself, and that may not throw away what it needs.
  echo "wal_keep_size = 64MB" >> "$dir/postgresql.conf"
  echo 'create table firedrill_ledger (key text not null)' | as "$bin/postgres" --single -D "$dir" postgres >/dev/null
fi
set -- "$bin/postgres" -D "$dir" -c "port=$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c wal_level=replica -c hot_standby=on \
  -c max_wal_senders=10 -c "synchronous_standby_names=$sync" -c log_min_messages=fatal
if [ "$(id -u)" = 0 ]; then exec setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; else exec "$@"; fi
