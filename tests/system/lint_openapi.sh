#!/bin/sh
# Lints /openapi.json as a node serves it: lint_openapi.sh TROUPE. Needs curl and npx, and the npm
# registry the first time.
set -eu
troupe=$1
dir=$(mktemp -d)
trap 'kill "$node" 2>/dev/null || true; rm -rf "$dir"' EXIT
"$troupe" serve --data "$dir/store" --listen 127.0.0.1:0 >"$dir/out" &
node=$!
while ! grep -q '^listening on ' "$dir/out"; do
  kill -0 "$node"
  sleep 0.1
done
curl -sf "$(sed -n 's/^listening on //p' "$dir/out")/openapi.json" >"$dir/openapi.json"
npx --yes @redocly/cli@1.25.11 lint --extends=recommended "$dir/openapi.json"
