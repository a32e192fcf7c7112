#!/usr/bin/env bash
# service_signals.sh TROUPE: what SIGHUP and SIGTERM do to a node, and what it tells load balancers meanwhile.
set -euo pipefail
troupe=$1
work=$(mktemp -d)
node=''
trap '[ -z "$node" ] || kill -KILL "$node" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; cat "$work/err" >&2; exit 1; }
status() { curl -s -o "$work/body" -w '%{http_code}' "$@"; }
until_log() { # until_log TEXT: within ten seconds
  for _ in $(seq 200); do
    if grep -qF "$1" "$work/err"; then return; fi
    sleep 0.05
  done
  fail "the log does not say: $1"
}
settings() { printf 'data = "%s"\nlisten = "127.0.0.1:0"\nlog-format = "json"\ndrain-notice = 60\n%s\n' "$work/store" "$1" >"$work/troupe.toml"; }

settings 'log-level = "err"'
"$troupe" serve --config "$work/troupe.toml" >"$work/out" 2>"$work/err" &
node=$!
for _ in $(seq 200); do grep -qs '^listening' "$work/out" && break; sleep 0.05; done
url=$(sed -n 's/^listening on //p' "$work/out")
[ "$(status "$url/readyz")" = 200 ] || fail "not ready"

# The log level is read again, and a mistake changes nothing.
settings 'log-level = "debug"'
kill -HUP "$node"
for _ in $(seq 100); do
  [ "$(status -H 'X-Request-Id: seen' "$url/healthz")" = 200 ] || fail "not healthy"
  if grep -qF '"request_id":"seen"' "$work/err"; then break; fi
  sleep 0.05
done
until_log '"request_id":"seen"'
until_log '"message":"read again: log level debug"'
settings $'log-level = "debug"\nidle = 7'
kill -HUP "$node"
until_log 'changed, and in use after a restart: idle'
settings 'log-level = "loud"'
kill -HUP "$node"
until_log 'the settings stay: '
settings 'log-level = "debug"'

# No state value is in any log.
[ "$(status "$url/api/agent/quick" -H 'Content-Type: application/json' -d '{"query":"a secret","context":{"session_id":"s"}}')" = 200 ] || fail "no turn"
[ "$(status -X PUT "$url/v1/sessions/s/state/k" -H 'Content-Type: application/json' -d '"a secret"')" = 200 ] || fail "no state"
[ "$(status "$url/v1/sessions/s/state?keys=k&zz=secret")" = 422 ] || fail "an unknown parameter is taken"
until_log '/v1/sessions/s/state is answered 422'
! grep -qF secret "$work/err" || fail "a value is in the log"

# Told to stop, it says so and goes on; a second signal ends the notice.
kill -TERM "$node"
for _ in $(seq 100); do
  code=$(status "$url/readyz")
  if [ "$code" = 503 ]; then break; fi
  sleep 0.05
done
[ "$code" = 503 ] || fail "/readyz says $code while the node drains"
grep -qF '"code":"draining"' "$work/body" || fail "/readyz does not say why"
[ "$(status "$url/healthz")" = 200 ] || fail "gone before its time"
[ "$(status "$url/api/sessions/s")" = 200 ] || fail "requests are refused before the notice is over"
sleep 1.1 # sooner, it would be a repeat of the first
kill -TERM "$node"
wait "$node" || fail "the node ended with $?"
node=''
echo "all is well"
