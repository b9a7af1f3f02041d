#!/bin/sh
# Runs all tests. At the end it prints which tests were skipped and why, and ends whatever a test has left running, which counts as a
# failure. Arguments go to `cargo test`. The tests with several hosts need root and the commands ip and nft (Debian: iproute2, nftables).
set -eu
cd "$(dirname "$0")/.."
. scripts/lib/toolchain.sh
need_rust

# Most tests wait for programs, so more of them than there are processors may run at a time.
RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
export RUST_TEST_THREADS
folder=$(mktemp -d)
# The tests write a line into this file for each test that they skip.
PROJECT436_SKIPS=${PROJECT436_SKIPS:-$folder/skips}
export PROJECT436_SKIPS
: >>"$PROJECT436_SKIPS"

# The processes that the tests have started and not ended: each carries the mark in its environment.
mark=$folder
left_running() {
    for process in /proc/[0-9]*; do
        if tr '\0' '\n' 2>/dev/null <"$process/environ" | grep -qxF "PROJECT436_CHECK=$mark"; then echo "${process#/proc/}"; fi
    done 2>/dev/null
}

clean_up() {
    status=$?
    trap - EXIT
    for process in $(left_running); do
        echo "Ending what a test left running: process $process, $(tr '\0' ' ' <"/proc/$process/cmdline")" >&2
        kill -KILL "$process" 2>/dev/null || true
        [ "$status" != 0 ] || status=1
    done
    rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# Compiled without the mark: what the compiler leaves running, such as a cache, is not the tests'.
cargo test --locked --no-run "$@"
status=0
PROJECT436_CHECK=$mark cargo test --locked "$@" || status=$?

if [ -s "$PROJECT436_SKIPS" ]; then
    echo "== Skipped:"
    sort -u "$PROJECT436_SKIPS" | sed 's/^SKIP /  /'
else
    echo "== No test was skipped."
fi
[ "$status" = 0 ]
