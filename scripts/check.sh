#!/bin/sh
# Runs all tests. The tests with several hosts need root and the command ip (Debian: iproute2); without, they say that they are skipped.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib/toolchain.sh
need_rust
# They mostly wait for programs, so more of them than there are processors may run at a time.
RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
export RUST_TEST_THREADS
exec cargo test --locked "$@"
