#!/bin/sh
# Runs all tests. The tests with several hosts need root and the command ip (Debian: iproute2); without, they say that they are skipped.
set -eu
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
need_rust
exec cargo test --locked "$@"
