#!/bin/sh
# Builds both programs, runs a server and an agent on this machine with the set-up of examples/, and prints the events that arrive.
# Everything but the build happens in a folder that is removed at the end.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib/toolchain.sh
need_rust

echo "== Building"
cargo build --release --locked --quiet
built=$(realpath "${CARGO_TARGET_DIR:-target}")/release
server=$built/ax436
agent=$built/aa436

folder=$(mktemp -d)
server_id='' agent_id=''
clean_up() {
    status=$?
    for id in $agent_id $server_id; do
        if kill "$id" 2>/dev/null; then
            wait "$id" || true
        fi
    done
    if [ "$status" != 0 ]; then
        echo "== The demonstration failed. The logs of both programs:" >&2
        cat "$folder"/*.log >&2 || true
    fi
    rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# Waits until a text is in the event stream.
wait_for() {
    tries=0
    until grep -q -- "$1" events.log 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ]; then
            echo "No event with \"$1\" arrived within 30 seconds." >&2
            return 1
        fi
        sleep 0.1
    done
}

cp -r examples/. "$folder"
cd "$folder"
touch demo.log
# Not the usual port: another 436 may run on this machine.
port=$((20000 + $$ % 20000))
sed -i "s/^port:.*/port: $port/" ax436.conf

echo "== Checking the configuration: ax436 -t ax436.conf"
"$server" -t ax436.conf

echo "== Starting the server: ax436 ax436.conf"
"$server" ax436.conf &
server_id=$!
echo "== Starting the agent, as host \"demo\": aa436 -n demo $port"
"$agent" -n demo "$port" &
agent_id=$!
wait_for 'in force'

echo "== Appending lines to demo.log:"
for line in 'all is well' 'disk sda1: I/O error, sector 4711' 'login failed for admin' 'login failed for root' 'login failed for guest'; do
    echo "$line" | tee -a demo.log | sed 's/^/   /'
done
wait_for 'I/O error'
wait_for 'Many failed logins'
wait_for 'DISK_USED'

echo "== The event stream, events.log:"
cat events.log
echo "== Ending both"
