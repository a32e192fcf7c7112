#!/usr/bin/env bash
# ops_check.sh TROUPE PACKAGING: what the tools of operators say of what a node gives them. A tool that is not there is
# told and its part left out; exit code 77 when none is.
set -euo pipefail
troupe=$1 packaging=$2
work=$(mktemp -d)
node=''
trap '[ -z "$node" ] || kill "$node" 2>/dev/null || true; rm -rf "$work"' EXIT
checked=0
has() { command -v "$1" >/dev/null || { echo "skipped: $1 is not installed ($2)"; return 1; }; }

if has promtool "Debian: prometheus"; then
  "$troupe" serve --data "$work/store" --listen 127.0.0.1:0 >"$work/out" 2>"$work/err" &
  node=$!
  for _ in $(seq 200); do grep -qs '^listening' "$work/out" && break; sleep 0.05; done
  url=$(sed -n 's/^listening on //p' "$work/out")
  curl -sf -X POST "$url/api/agent/quick" -H 'Content-Type: application/json' -d '{"query":"Hi"}' >/dev/null
  curl -sf "$url/metrics" >"$work/metrics"
  promtool check metrics <"$work/metrics"
  promtool check rules "$packaging/alerts.yaml"
  # Every metric that the rules and the dashboard ask for is one that the node tells.
  grep -ohE 'troupe_[a-z_]+|caf_actor_mailbox_size' "$packaging/alerts.yaml" "$packaging/grafana.json" |
    sed -E 's/_bucket$//' | sort -u >"$work/asked"
  awk '/^# TYPE / { print $3 }' "$work/metrics" | sort -u >"$work/told"
  unknown=$(comm -23 "$work/asked" "$work/told")
  [ -z "$unknown" ] || { echo "no such metric: $unknown"; exit 1; }
  checked=1
fi
if has systemd-analyze "Debian: systemd"; then
  sed "s#@CMAKE_INSTALL_FULL_BINDIR@#$(dirname "$troupe")#" "$packaging/troupe.service.in" >"$work/troupe.service"
  said=$(systemd-analyze verify --man=no "$work/troupe.service" 2>&1 | grep -F troupe.service || true)
  [ -z "$said" ] || { echo "$said"; exit 1; }
  checked=1
fi
if has man "Debian: man-db"; then
  "$troupe" manual >"$work/troupe.1"
  said=$(LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$work/troupe.1" 2>&1 >/dev/null || true)
  [ -z "$said" ] || { echo "$said"; exit 1; }
  checked=1
fi
"$troupe" completion bash >"$work/completion"
bash -n "$work/completion"
words() { # words WORD...: what is offered for the last
  bash -c 'source "$1"; shift; COMP_WORDS=(troupe "$@"); COMP_CWORD=$#; _troupe; echo "${COMPREPLY[*]}"' words "$work/completion" "$@"
}
[ "$(words ser)" = serve ] || { echo "completion offers: $(words ser)"; exit 1; }
[ "$(words token cr)" = create ] || { echo "completion offers: $(words token cr)"; exit 1; }
[ "$(words serve --journal-t)" = --journal-tail ] || { echo "completion offers: $(words serve --journal-t)"; exit 1; }
[ "$(words serve --responder '')" = 'builtin openai' ] || { echo "completion offers: $(words serve --responder '')"; exit 1; }
[ "$(words serve --log-level = wa)" = warn ] || { echo "completion offers: $(words serve --log-level = wa)"; exit 1; }
[ "$(words token create --role = )" = 'reader writer admin' ] || { echo "completion offers: $(words token create --role = )"; exit 1; }
[ "$checked" = 1 ] || exit 77
