#!/bin/sh
# Whether a lost leader may be rejoined: it does not answer, nothing runs on its data, and the other one leads. Exit 0 only when all of that holds. Arguments: directory of the
# programs, the lost one's name, its port, the other's port, the directory for data.
set -u
bin=$1 name=$2 port=$3 other=$4 data=$5
"$bin/pg_isready" -q -h 127.0.0.1 -p "$port" -t 1
[ $? = 2 ] || { echo "$name answers on port $port: it is not fenced"; exit 1; }
# The file of a server that was killed stays; only a process that lives counts.
pid=$(sed -n 1p "$data/$name/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = postgres ]; then echo "$name runs as pid $pid: it is not fenced"; exit 1; fi
leads=$("$bin/psql" -h 127.0.0.1 -p "$other" -U firedrill -d postgres -Atc 'select pg_is_in_recovery()' 2>&1)
[ "$leads" = f ] || { echo "the other one does not lead: $leads"; exit 1; }
echo "$name is fenced, and the other one leads"
