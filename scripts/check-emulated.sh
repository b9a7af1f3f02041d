#!/bin/sh
# Runs the programs in dist/ on emulated processors: sessions of each target's agent and server with those of this machine.
#   scripts/check-emulated.sh [TARGET...]      by default all that are in dist/
set -eu
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
need_rust
emulators=$(sed -n 's/^[a-z0-9_]*-[a-z0-9_-]* *\([a-z0-9_]*\) .*/qemu-\1-static/p' cross/targets | sort -u)
for emulator in $emulators; do
    if ! command -v "$emulator" >/dev/null 2>&1; then
        echo "check-emulated.sh: there is no $emulator. On Debian: apt-get install qemu-user-static" >&2
        exit 1
    fi
done
PROJECT436_TARGETS="$*" exec cargo test --locked --test emulated -- --ignored --nocapture --test-threads 1
