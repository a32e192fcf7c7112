#!/usr/bin/env bash
# debian.sh PACKAGE.deb [ROOT]: installs a package into a clean Debian, runs the node there as its own user, upgrades,
# removes and purges it, and sees what becomes of the data. ROOT is a debootstrap that is copied, else one is made (that
# takes some minutes and the network). Needs root. Not part of the default tests: it installs packages.
set -euo pipefail
deb=$(readlink -f "$1")
base=${2:-}
work=$(mktemp -d)
root=$work/root
node=''
cleanup() {
  [ -z "$node" ] || kill -KILL "$node" 2>/dev/null || true
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
step() { echo "== $*"; }
inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
quiet() { "$@" >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; fail "$*"; }; }

step "a clean root"
if [ -n "$base" ]; then
  cp -a "$base" "$root"
else
  quiet debootstrap --variant=minbase bookworm "$root"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
quiet inside apt-get update
quiet inside apt-get install -y --no-install-recommends curl
[ ! -e "$root/etc/passwd" ] || ! grep -q '^troupe:' "$root/etc/passwd" || fail "the root is not clean"

install_package() {
  cp "$1" "$root/tmp/troupe.deb"
  quiet inside apt-get install -y --no-install-recommends /tmp/troupe.deb
}
# The node as its unit starts it: its own user, the packaged settings.
start() {
  chroot --userspec=troupe:troupe "$root" env -i PATH=/usr/bin:/bin /usr/bin/troupe serve \
    --config /etc/troupe/troupe.toml >"$work/out" 2>"$work/err" &
  node=$!
  for _ in $(seq 200); do
    if grep -qs '^listening' "$work/out"; then return; fi
    sleep 0.1
  done
  cat "$work/err" >&2
  fail "the node does not start"
}
stop() {
  kill -TERM "$node"
  wait "$node" || fail "the node ended with $?"
  node=''
}
ask() { inside curl -sSf "$@"; }
check_data() {
  ask 'http://127.0.0.1:7717/api/sessions/mine/history' | grep -q '"turn_count":2' || fail "the data is gone $*"
}

step "installed: a user, settings, a unit, a manual"
install_package "$deb"
inside getent passwd troupe | grep -q ':/var/lib/troupe:/usr/sbin/nologin$' || fail "no user of its own"
[ "$(inside stat -c '%U %a' /var/lib/troupe)" = 'troupe 700' ] || fail "the store is not the node's alone"
[ "$(inside stat -c '%U %G %a' /etc/troupe/troupe.toml)" = 'root troupe 640' ] || fail "the settings are not readable"
inside troupe config check /etc/troupe/troupe.toml
grep -q '^ExecStart=/usr/bin/troupe serve' "$root"/usr/lib/systemd/system/troupe.service || fail "the unit starts something else"
for file in share/man/man1/troupe.1 share/bash-completion/completions/troupe share/troupe/alerts.yaml \
  share/troupe/grafana.json share/doc/troupe/copyright; do
  [ -s "$root/usr/$file" ] || [ -s "$root/usr/$file.gz" ] || fail "there is no $file"
done

step "runs as its own user"
start
[ "$(stat -c %U:%u "/proc/$node" | cut -d: -f2)" = "$(inside id -u troupe)" ] || fail "the node is somebody else"
ask -X POST http://127.0.0.1:7717/api/agent/quick -H 'Content-Type: application/json' \
  -d '{"query":"Hi","context":{"session_id":"mine"}}' >/dev/null
check_data "at once"
stop

step "upgraded: data and changed settings stay"
echo 'idle = 7' >>"$root/etc/troupe/troupe.toml"
dpkg-deb -R "$deb" "$work/newer"
version=$(sed -n 's/^Version: //p' "$work/newer/DEBIAN/control")
sed -i "s/^Version: .*/Version: $version+1/" "$work/newer/DEBIAN/control"
dpkg-deb -b "$work/newer" "$work/newer.deb" >/dev/null
install_package "$work/newer.deb"
inside dpkg-query -W -f '${Version}\n' troupe | grep -qF "$version+1" || fail "not upgraded"
grep -q 'idle = 7' "$root/etc/troupe/troupe.toml" || fail "the settings were overwritten"
start
check_data "after the upgrade"
stop

step "removed: data and settings stay"
quiet inside apt-get remove -y troupe
[ ! -e "$root/usr/bin/troupe" ] || fail "the program is still there"
[ -s "$root/var/lib/troupe/data.mdb" ] || fail "a removal took the data"
[ -s "$root/etc/troupe/troupe.toml" ] || fail "a removal took the settings"
install_package "$deb"
start
check_data "after removal and installation"
stop

step "purged: the data stays, the settings go"
quiet inside apt-get purge -y troupe
[ -s "$root/var/lib/troupe/data.mdb" ] || fail "a purge took the data"
[ ! -e "$root/etc/troupe" ] || fail "a purge left the settings"
echo "all is well"
