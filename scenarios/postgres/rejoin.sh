#!/bin/sh
# Makes a standby of a lost leader: what it wrote and the new leader never got is taken back with `pg_rewind`, or, where that cannot be, it gets a fresh copy. Then it is let start,
# and this ends when it follows. Whether it may be done at all is asked before, by `fenced.sh`. Arguments: directory of the programs, the lost one's name, its port, the new leader's port,
# the directory for data.
set -eu
bin=$1 name=$2 port=$3 leader=$4 data=$5
dir=$data/$name
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; else "$@"; fi; }
ask() { "$bin/psql" -h 127.0.0.1 -p "$1" -U firedrill -d postgres -Atqc "$2" 2>/dev/null; }

cd /
from="host=127.0.0.1 port=$leader user=firedrill application_name=standby"
# Before that, the new leader's control file still names the old timeline, and nothing would be taken back.
ask "$leader" checkpoint
if as "$bin/pg_rewind" -D "$dir" --source-server="$from dbname=postgres" --write-recovery-conf --no-sync >"$data/rewind.log" 2>&1; then
  how="taken back with pg_rewind"
else
  rm -rf "$dir"
  as "$bin/pg_basebackup" -d "$from" -D "$dir" -R -X stream -c fast --no-sync
  how="copied afresh"
fi
touch "$data/$name.rejoined"
follows() { [ "$(ask "$port" 'select pg_is_in_recovery()')" = t ] && [ "$(ask "$leader" "select count(*) from pg_stat_replication where state = 'streaming'")" = 1 ]; }
until follows; do sleep 0.2; done
echo "$name was $how and follows"
