#!/bin/sh
# Checks that 32-bit programs work after 2038. Builds both for i586 with musl, statically linked with a wall clock that begins in March 2040,
# and sends an event from a log to the stream.
#
# Needs an x86_64 Linux that runs 32-bit programs, and what build-all.sh needs.
# Exit status: 0 right, 1 wrong, 77 this machine does not run 32-bit programs.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/checking.sh
. scripts/lib/cross.sh

target=i586-unknown-linux-musl

build_for_2040() {
    clock=$work/clock-2040.o
    python-zig cc -target x86-linux-musl -mcpu=pentium -O2 -c scripts/checks/clock-2040.c -o "$clock"
    RUSTFLAGS="-C link-self-contained=no -C link-arg=$clock" \
        cargo-zigbuild zigbuild --bins --locked --quiet --target $target --target-dir "$work/2040" -Z build-std=std,panic_abort
}

# Starts both programs in the current folder, appends a line to a log, and ends the programs when its events are in the stream.
session() {
    bin=$work/2040/$target/debug
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

# Waits until the stream contains a text, for half a minute at most.
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

prepare_zig
build_for_2040
if ! "$work/2040/$target/debug/aa436" -V; then
    skip "this machine does not run 32-bit programs"
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
