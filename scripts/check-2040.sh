#!/bin/sh
# Checks that 32-bit programs are right after 2038: builds both for i586 with musl, linked statically with a wall clock that
# stands in March 2040, and has an event go from a log to the stream.
#
#   scripts/check-2040.sh [--install]
#
# Needs an x86_64 Linux that runs 32-bit programs, a Rust with the source of its standard library, and cargo-zigbuild with zig,
# both from PyPI. --install installs what is missing: the Rust from Debian's packages, as root, the others below target/.
# Exit status: 0 right, 1 wrong, 2 something is missing.
set -eu
cd "$(dirname "$0")/.."
. scripts/std-source.sh

target=i586-unknown-linux-musl
CARGO_TARGET_DIR=$(mkdir -p "${CARGO_TARGET_DIR:-target}/2040" && cd "${CARGO_TARGET_DIR:-target}/2040" && pwd)
tools=$CARGO_TARGET_DIR/tools
PATH=$tools/bin:$PATH
export CARGO_TARGET_DIR PATH

require_tools() {
    if ! find_source; then
        [ "$1" = --install ] || { name_source && exit 2; }
        install_source && find_source
    fi
    if ! command -v cargo-zigbuild >/dev/null; then
        get="python3 -m venv $tools && $tools/bin/pip install cargo-zigbuild"
        [ "$1" = --install ] || { echo "There is no cargo-zigbuild here: $get" && exit 2; }
        sh -c "$get"
    fi
}

build() {
    clock=$CARGO_TARGET_DIR/clock-2040.o
    python-zig cc -target x86-linux-musl -mcpu=pentium -O2 -c scripts/clock-2040.c -o "$clock"
    CARGO=$source_bin/cargo RUSTC=$source_bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS="-C link-self-contained=no -C link-arg=$clock" \
        cargo-zigbuild zigbuild --bins --target $target -Z build-std=std,panic_abort
}

# Starts both programs in the present folder, appends a line to a log, and ends them once its events are in the stream.
session() {
    bin=$CARGO_TARGET_DIR/$target/debug
    port=$((20000 + $$ % 20000))
    mkdir hosts
    printf '%s\n' "event_stream: events.log" "port: $port" "broadcast: 127.255.255.255" "hosts: hosts" >ax436.conf
    for alert in "active: 0;06:00-06:59|alert_all: tags=SUNDAY" "active: 123456;06:00-06:59|alert_all: tags=WEEKDAY" "alert_all: tags=ALWAYS"; do
        printf '%s\n' "file: app.log" "match: error" "$alert" | tr '|' '\n'
    done >hosts/nas1
    : >app.log
    TZ=CET-1CEST,M3.5.0,M10.5.0/3
    export TZ
    "$bin/ax436" -l ax436.log ax436.conf &
    server=$!
    "$bin/aa436" -l aa436.log -n nas1 "$port" &
    agent=$!
    trap 'kill $server $agent 2>/dev/null || :; rm -rf "$folder"' EXIT
    wait_for "in force"
    echo "an error" >>app.log
    wait_for "ALWAYS%%app.log%%an error"
    kill $agent $server
    wait $agent $server
    server='' agent=''
}

# Waits half a minute at most until the stream has that.
wait_for() {
    tries=300
    until grep -q "$1" events.log 2>/dev/null || [ $tries = 0 ]; do
        tries=$((tries - 1))
        sleep 0.1
    done
}

expect() {
    if ! grep -q "$2" "$1"; then
        cat ./*.log
        echo "FAILED: nothing in $1 is like $2"
        exit 1
    fi
}

require_tools "${1-}"
build
if ! "$CARGO_TARGET_DIR/$target/debug/aa436" -V; then
    echo "This machine does not run 32-bit programs."
    exit 2
fi
folder=$(mktemp -d)
cd "$folder"
session
expect events.log '^Sun Mar  4 06:0[67]:[0-9][0-9] 2040%%nas1%%[^%]*%%2214450[0-9]*%%SUNDAY%%app.log%%an error$'
expect events.log '%%ALWAYS%%app.log%%an error$'
expect aa436.log '^2040-03-04 06:0[67]:[0-9][0-9] '
if grep WEEKDAY events.log; then
    echo "FAILED: Sunday is taken for another day"
    exit 1
fi
cat events.log
echo "ok: 32-bit programs in 2040"
