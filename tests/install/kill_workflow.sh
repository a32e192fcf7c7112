#!/usr/bin/env bash
# Kills the workflow example again and again, each time one line of its output later, until a run is done. Then every
# node must be done and every entry of the ledger there once: kill_workflow.sh EXECUTABLE DIRECTORY
set -euo pipefail
example=$1 work=$2
mkdir -p "$work"

wanted=$'workflow done\nledger fetch\nledger parse\nledger index\nledger report\nledger send'
kills=0
for first in 1 2 3; do
  data=$work/$first
  for ((lines = first; ; ++lines)); do
    mkfifo "$data.out"
    "$example" "$data" 2 > "$data.out" & pid=$!
    exec 3< "$data.out"
    rm "$data.out"
    done=0
    for ((i = 0; i < lines; ++i)); do
      if ! read -r line <&3 || [[ $line == workflow* ]]; then
        done=1
        break
      fi
    done
    if ((done)); then break; fi
    kill -9 "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
    exec 3<&-
    kills=$((kills + 1))
  done
  cat <&3 > /dev/null
  exec 3<&-
  wait "$pid"
  told=$("$example" "$data")
  if [[ $told != "$wanted" ]]; then
    echo "after kills from line $first on it says:" && echo "$told"
    exit 1
  fi
done
if ((kills < 6)); then
  echo "only $kills kills hit a running workflow"
  exit 1
fi
echo "$kills kills"
