#!/bin/sh
# Promotes the standby when the leader has not answered three times in a row: the least that does the job of a cluster manager. It acts once.
# Arguments: directory of the programs, the leader's port, the standby's port.
set -u
bin=$1 leader=$2 standby=$3
missed=0
while [ "$missed" -lt 3 ]; do
  if "$bin/pg_isready" -q -h 127.0.0.1 -p "$leader" -U firedrill -d postgres -t 1; then missed=0; else missed=$((missed + 1)); fi
  sleep 0.3
done
until "$bin/psql" -h 127.0.0.1 -p "$standby" -U firedrill -d postgres -Atqc 'select pg_promote(true, 10)' >/dev/null; do sleep 0.3; done
while :; do sleep 1; done
