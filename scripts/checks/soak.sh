#!/bin/sh
# Lets logs grow, also by bursts, and rotates them in all ways while datagrams get lost and the programs are restarted and killed, also both while a
# burst arrives. Every line must arrive once, and memory and descriptors must not grow. Builds both programs first, unless PROJECT436_BIN_DIR names
# their folder.
#   scripts/checks/soak.sh [MINUTES] [--seed NUMBER] [--burst LINES]      by default 2 minutes and 20000 lines
# Exit status: 0 all is well, 1 it is not.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/toolchain.sh
if ! command -v python3 >/dev/null 2>&1; then
    echo "soak.sh: there is no python3. On Debian: apt-get install python3" >&2
    exit 1
fi
programs=${PROJECT436_BIN_DIR:-}
if [ -z "$programs" ]; then
    need_rust
    cargo build --release --locked --quiet
    programs=${CARGO_TARGET_DIR:-$PWD/target}/release
fi
exec python3 -B scripts/bench/soak.py --programs "$programs" "$@"
