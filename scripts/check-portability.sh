#!/bin/sh
# Checks that library and binaries compile without warnings for systems other than this one: FreeBSD, macOS, and Linux in 32 and
# 64 bits with either C library. Nothing is linked or run, so no linker or C library of those systems is needed.
#
#   scripts/check-portability.sh [--install] [TARGET...]
#
# The standard library of a target is rustup's where that is installed, and is compiled from its source otherwise. Nothing is
# installed, unless --install asks for it: then Debian's packages bring the source (as root).
# Exit status: 0 all compile, 1 one does not, 2 something is missing.
set -eu
cd "$(dirname "$0")/.."
. scripts/std-source.sh

targets="x86_64-unknown-freebsd aarch64-apple-darwin x86_64-unknown-linux-musl i586-unknown-linux-musl i686-unknown-linux-gnu"

# Whether rustup has the target's standard library.
rustup_has() {
    command -v rustup >/dev/null || return 1
    rustup target list --installed 2>/dev/null | grep -qx "$1"
}

# Compiles for one target, with what it says going into the log.
check() {
    if rustup_has "$1"; then
        how="std from rustup"
        cargo check --lib --bins --target "$1" >"$log" 2>&1
        return
    fi
    if [ $install = yes ] && ! find_source; then
        install_source
    fi
    if ! find_source; then
        echo "$1 cannot be checked."
        name_source
        exit 2
    fi
    how="std from source, $("$source_bin/rustc" --version)"
    RUSTC="$source_bin/rustc" RUSTC_BOOTSTRAP=1 \
        "$source_bin/cargo" check --lib --bins --target "$1" -Z build-std=std,panic_abort >"$log" 2>&1
}

install=no
if [ "${1-}" = --install ]; then
    install=yes
    shift
fi
case "${1-}" in
-*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/portability
export CARGO_TARGET_DIR
mkdir -p "$CARGO_TARGET_DIR"
log=$CARGO_TARGET_DIR/check.log
status=0
# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- $targets
for target in "$@"; do
    if ! check "$target"; then
        cat "$log"
        echo "FAILED $target ($how)"
        status=1
    elif grep -q "^warning: .project436." "$log"; then
        cat "$log"
        echo "WARNINGS $target ($how)"
        status=1
    else
        echo "ok $target ($how)"
    fi
done
exit $status
