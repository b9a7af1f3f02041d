#!/bin/sh
# Runs the programs in dist/ on emulated processors: sessions of each target's agent and server with those of this machine.
#   scripts/checks/emulated.sh [TARGET...]      by default all that are in dist/
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/checking.sh
. scripts/lib/toolchain.sh
need_rust
emulators=$(sed -n 's/^[a-z0-9_]*-[a-z0-9_-]* *\([a-z0-9_]*\) .*/qemu-\1-static/p' cross/targets | sort -u)
for emulator in $emulators; do
    need "$emulator" qemu-user-static
done
PROJECT436_TARGETS="$*" exec cargo test --locked --test devices emulated:: -- --ignored --nocapture --test-threads 1
