#!/usr/bin/env bash
# http_load.sh TROUPE [ROUNDS] [SECONDS]: what a node serves over HTTP, beside others that do as little. One JSON object
# for each figure on stdout; each is the median of the rounds (5 of 2 seconds), which are interleaved: every subject in
# turn, then again. Ratios within one run are what counts.
#
#   read   wrk with 64 connections: one state key of 100 bytes and the last ten items, beside nginx returning the same
#          bytes, from its configuration and (they are too many for it) from a file that it keeps open
#   append wrk with 64 and 256 connections, durable appends of one 600-byte item to 1,000 sessions, beside a Redis that
#          syncs each (RPUSH of 600 bytes to 1,000 lists, appendfsync always, no pipeline)
#
# Needs wrk, nginx, redis-server and redis-benchmark; one that is missing is reported as not run.
set -euo pipefail
troupe=$(readlink -f "$1")
rounds=${2:-5} seconds=${3:-2}
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT
has() { command -v "$1" >/dev/null; }
not_run() { printf '{"name":"%s","not_run":"%s"}\n' "$1" "$2"; }
has wrk || { not_run http_load "there is no wrk"; exit 0; }

free_port() { # a port that nobody listens on now
  local port
  while :; do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo $port
}
within() { # within SECONDS COMMAND...: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "error: $* does not succeed" >&2; exit 1; }
    sleep 0.05
  done
}

"$troupe" --log-level off serve --data "$dir/store" --listen 127.0.0.1:0 >"$dir/troupe.out" &
pids+=($!)
within 20 grep -q '^listening on ' "$dir/troupe.out"
node=$(sed -n 's/^listening on //p' "$dir/troupe.out")
json='Content-Type: application/json'
text() { head -c "$1" /dev/zero | tr '\0' x; }
curl -sf -X PUT "$node/v1/sessions/r" >/dev/null
curl -sf -X PUT "$node/v1/sessions/r/state/k" -H "$json" -d "\"$(text 98)\"" >/dev/null
for i in $(seq 20); do
  curl -sf "$node/v1/sessions/r/items" -H "$json" -d "{\"items\":[{\"role\":\"user\",\"content\":\"$(text 560)\"}]}" >/dev/null
done

# Bodies for nginx: those of the node, byte for byte.
curl -sf "$node/v1/sessions/r/state/k" >"$dir/key"
curl -sf "$node/v1/sessions/r/items?last=10" >"$dir/items"
nginx_url=
if has nginx; then
  port=$(free_port)
  mkdir "$dir/nginx"
  cat >"$dir/nginx/nginx.conf" <<CONF
$([ "$(id -u)" != 0 ] || echo 'user root;') worker_processes 1; daemon off; pid $dir/nginx/pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; open_file_cache max=10; sendfile on; tcp_nopush on; default_type application/json; keepalive_requests 1000000000;
  client_body_temp_path $dir/nginx/a; proxy_temp_path $dir/nginx/b; fastcgi_temp_path $dir/nginx/c;
  uwsgi_temp_path $dir/nginx/d; scgi_temp_path $dir/nginx/e;
  server {
    listen 127.0.0.1:$port;
    location = /key { return 200 '$(cat "$dir/key")'; }
    location = /items { alias $dir/items; }
  }
}
CONF
  nginx -p "$dir/nginx" -c "$dir/nginx/nginx.conf" 2>"$dir/nginx.log" &
  pids+=($!)
  nginx_url=http://127.0.0.1:$port
  within 5 curl -sf "$nginx_url/key"
  cmp -s "$dir/items" <(curl -sf "$nginx_url/items") || { echo "error: nginx returns another body" >&2; exit 1; }
fi

redis=
if ! has redis-server && has redis-check-rdb; then # one program, which looks at its name
  mkdir "$dir/bin"
  ln -s "$(command -v redis-check-rdb)" "$dir/bin/redis-server"
  PATH=$dir/bin:$PATH
fi
if has redis-server && has redis-benchmark; then
  redis=$(free_port)
  mkdir "$dir/redis"
  redis-server --port "$redis" --bind 127.0.0.1 --dir "$dir/redis" --appendonly yes --appendfsync always --save '' \
    --auto-aof-rewrite-percentage 0 >"$dir/redis.log" &
  pids+=($!)
  within 5 grep -q 'Ready to accept' "$dir/redis.log"
fi

# Every answer must be a good one: wrk counts the others. The requests are made once, as redis-benchmark does.
cat >"$dir/append.lua" <<LUA
local body = '{"items":[{"role":"user","content":"' .. string.rep("x", 562) .. '"}]}'
local requests = {}
function setup(thread) thread:set("id", counter) counter = counter + 1 end
counter = 1
function init()
  math.randomseed(id)
  for i = 0, 999 do
    requests[i] = wrk.format("POST", "/v1/sessions/a" .. i .. "/items", {["Content-Type"] = "application/json"}, body)
  end
end
function request() return requests[math.random(0, 999)] end
LUA
for i in $(seq 0 999); do printf 'url = "%s/v1/sessions/a%d"\nrequest = PUT\noutput = /dev/null\nnext\n' "$node" "$i"; done |
  sed '$d' >"$dir/create"
curl -sf -K "$dir/create"

# rate WRK-ARGUMENTS...: requests a second
rate() {
  wrk -t1 -d"$seconds"s "$@" >"$dir/wrk.out"
  if grep -qE 'Non-2xx|Socket errors' "$dir/wrk.out"; then cat "$dir/wrk.out" >&2; exit 1; fi
  awk '/^Requests\/sec:/ { print $2 }' "$dir/wrk.out"
}
redis_rate() { # CONNECTIONS: about as long as the others
  local n=${redis_n:-20000}
  redis-benchmark -p "$redis" -c "$1" -n "$n" -r 1000 -P 1 --csv rpush 'list:__rand_int__' "$(text 600)" 2>/dev/null |
    tail -1 | tr -d '"' | awk -F, '{ print $2 }'
}
declare -A samples
note() { samples[$1]+="$2 "; }
for _ in $(seq "$rounds"); do
  note get_key "$(rate -c64 "$node/v1/sessions/r/state/k")"
  [ -z "$nginx_url" ] || note nginx_key "$(rate -c64 "$nginx_url/key")"
  note last_ten "$(rate -c64 "$node/v1/sessions/r/items?last=10")"
  [ -z "$nginx_url" ] || note nginx_items "$(rate -c64 "$nginx_url/items")"
  for c in 64 256; do
    note append_$c "$(rate -c$c -s "$dir/append.lua" "$node")"
    if [ -n "$redis" ]; then
      one=$(redis_rate $c)
      redis_n=$(awk -v r="$one" -v s="$seconds" 'BEGIN { printf "%d", r * s }') # of the next round
      note redis_$c "$one"
    fi
  done
done

median() { tr ' ' '\n' <<<"${samples[$1]:-}" | grep . | sort -g | awk '{ x[NR] = $1 } END { if (NR) print x[int((NR + 1) / 2)] }'; }
report() { # NAME SUBJECT PEER-NAME PEER WANTED
  local own peer
  own=$(median "$2") peer=$(median "$4")
  if [ -z "$peer" ]; then
    printf '{"name":"%s","rounds":%d,"per_s":%.0f,"peer":"%s","not_run":"it is not on this machine"}\n' "$1" "$rounds" "$own" "$3"
  else
    awk -v name="$1" -v n="$rounds" -v a="$own" -v p="$3" -v b="$peer" -v w="$5" 'BEGIN { printf \
      "{\"name\":\"%s\",\"rounds\":%d,\"per_s\":%.0f,\"peer\":\"%s\",\"peer_per_s\":%.0f,\"ratio\":%.2f,\"wanted\":%s}\n",
      name, n, a, p, b, a / b, w }'
  fi
}
report get_one_state_key get_key "nginx return" nginx_key 0.5
report get_last_ten_items last_ten "nginx return" nginx_items 0.5
report durable_append_64 append_64 "redis appendfsync always" redis_64 0.8
report durable_append_256 append_256 "redis appendfsync always" redis_256 0.6
