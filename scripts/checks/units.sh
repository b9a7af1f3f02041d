#!/bin/sh
# Has systemd-analyze look at scripts/init/*.service, as they would be installed.
set -eu
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
faults=0
for unit in scripts/init/*.service; do
    # The programs need not be installed here.
    sed 's|/usr/local/bin/[a-z0-9]*|/bin/true|' "$unit" >"$folder/${unit##*/}"
    said=$(systemd-analyze verify "$folder/${unit##*/}" 2>&1) || said="$said (status $?)"
    if [ -n "$said" ]; then
        echo "FAULT $unit: $said"
        faults=$((faults + 1))
    else
        echo "ok $unit"
    fi
done
[ "$faults" = 0 ]
