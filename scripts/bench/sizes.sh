#!/bin/sh
# Prints the sizes of the programs in dist/ and their limits in cross/targets, as a table in Markdown. Fails if a target is missing.
set -eu
cd "$(dirname "$0")/../.."

# The bytes of a file, as 1,234,567.
size() {
    [ -f "$1" ] || { echo "sizes.sh: $1 is missing: scripts/build-all.sh builds it" >&2; exit 1; }
    stat -c %s "$1" | sed -e ':again' -e 's/\([0-9]\)\([0-9]\{3\}\)\(,\|$\)/\1,\2\3/' -e 't again'
}

echo '| target | aa436, bytes | limit, KiB | ax436, bytes | limit, KiB |'
echo '| --- | ---: | ---: | ---: | ---: |'
while read -r target _ _ _ agent_limit server_limit _; do
    case $target in '' | '#'*) continue ;; esac
    agent=$(size "dist/$target/aa436")
    server=$(size "dist/$target/ax436")
    echo "| \`$target\` | $agent | $agent_limit | $server | $server_limit |"
done <cross/targets
