#!/bin/sh
# Checks that the library and the binaries compile without warnings for other systems: FreeBSD, macOS, and Linux with 32 and 64 bits and either
# C library. Nothing is linked or run, so no linker or C library of those systems is needed.
#
#   scripts/checks/portability.sh [TARGET...]
#
# The standard library is compiled from its source, by the compiler of build-all.sh.
# Exit status: 0 all compile, 1 one does not.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/cross.sh

targets="x86_64-unknown-freebsd aarch64-apple-darwin x86_64-unknown-linux-musl i586-unknown-linux-musl i686-unknown-linux-gnu"

find_compiler
say "Compiler: $("$RUSTC" --version)"
mkdir -p "$work"
log=$work/portability.log
status=0
# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- $targets
for target in "$@"; do
    if ! RUSTC_BOOTSTRAP=1 "$CARGO" check --lib --bins --locked --target "$target" --target-dir "$work/portability" \
        -Z build-std=std,panic_abort >"$log" 2>&1; then
        cat "$log"
        echo "FAILED $target"
        status=1
    elif grep -q "^warning: .project436." "$log"; then
        cat "$log"
        echo "WARNINGS $target"
        status=1
    else
        echo "ok $target"
    fi
done
exit $status
