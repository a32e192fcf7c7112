# operations_doc.sh TROUPE DOCUMENT: runs every ```sh block in order, below a temporary directory, over the demo's
# store. The first command that fails fails the test, as does a document with fewer commands than it had.
set -eu
troupe=$1 document=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/lib" "$work/backup"
ln -s "$troupe" "$work/bin/troupe"
cd "$work"
bin/troupe demo --data "$work/lib/troupe" --listen 127.0.0.1:0 --once >/dev/null
awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$document" |
  sed -e "s|/var/lib/|$work/lib/|g" -e "s|/backup/|$work/backup/|g" >commands
[ "$(wc -l <commands)" -ge 11 ]
PATH=$work/bin:$PATH sh -eux commands
# What was exported, imported, restored and compacted on the way is all there.
bin/troupe export lib/other --all | cmp - all.jsonl
bin/troupe export lib/broken --all | cmp - all.jsonl
bin/troupe export lib/troupe --all | cmp - all.jsonl

# A store of some MiB.
for id in a b c d e f g h; do
  printf '{"id":"%s","messages":[{"content":"%s"},{"content":"%s"}]}\n' $id \
    "$(head -c 120000 /dev/urandom | base64 -w0)" "$(head -c 120000 /dev/urandom | base64 -w0)"
done >long.jsonl
# Ctrl-C during a copy that takes a second: exit code 130, and nothing is left.
bin/troupe replay "$work/long.jsonl" --data lib/long >/dev/null
status=0
timeout --preserve-status -s INT 0.3 bin/troupe backup lib/long backup/stopped --rate 1 2>errors || status=$?
[ "$status" = 130 ]
grep -q "interrupted; nothing has changed" errors
[ ! -e backup/stopped ] && [ ! -e backup/stopped.incomplete ]
