#!/bin/sh
# Runs the static x86_64 programs as on Linux 3.2: strace fails some system calls with ENOSYS, among them those that came later. A session must
# work all the same, and must use no other call of a later kernel.
#   scripts/checks/old-kernel.sh [FOLDER]      with the programs; by default dist/x86_64-unknown-linux-musl
set -eu
cd "$(dirname "$0")/../.."
programs=$(cd "${1:-dist/x86_64-unknown-linux-musl}" && pwd)
. scripts/lib/checking.sh
need strace strace
# The last call of Linux 3.2 on x86_64 is process_vm_writev, number 311.
last=311
missing=getrandom,statx,copy_file_range,preadv2,renameat2,memfd_create,inotify_init1,recvmmsg,sendmmsg
folder=$(mktemp -d)
stream=$folder/events.log
logs="$stream $folder/agent.log $folder/server.log"
started='' id=''
trap 'for id in $started; do kill "$id" 2>/dev/null || true; done; wait; rm -rf "$folder"' EXIT

traced() { # traced NAME PROGRAM ARGUMENTS...
    name=$1
    shift
    # -D: the program, not strace, is the child of this shell. The programs that it starts in turn are not traced.
    (cd "$folder" && PROJECT436_TEST_CLOCK=10 exec strace -D -n -qq -e signal=none -e inject="$missing:error=ENOSYS" -o "$name.calls" "$@") &
    started="$started $!"
}

port=$((30000 + $$ % 20000))
mkdir "$folder/hosts"
printf '%s\n' 'event_stream: events.log' "port: $port" 'broadcast: 127.255.255.255' 'hosts: hosts' >"$folder/ax436.conf"
printf '%s\n' "file: $folder/followed" 'match: wanted' 'alert_all: tags=LINE' 'run: command=echo 17 extract=^(1)(7)' \
    'alert_metric: tags=RUN match=1,1 metric=2' 'run: command=@uptime extract=^(up) (\d+)' 'alert_metric: tags=UP match=1,up metric=2' \
    'process: .' 'alert_running: tags=PS min=0 max=0 message=processes' >"$folder/hosts/old"
echo 'a line of before' >"$folder/followed"
traced server "$programs/ax436" -l server.log ax436.conf
traced agent "$programs/aa436" -l agent.log -n old "$port"
within_a_minute "the configuration is in force" events 1 'in force'
within_a_minute "a command" events 1 '%%RUN%%NULL%%7$'
within_a_minute "a built-in command" events 1 '%%UP%%'
within_a_minute "the processes" events 1 '%%PS%%'
for number in 1 2 3 4 5; do echo "wanted $number" >>"$folder/followed"; done
within_a_minute "lines of a log" events 5 '%%LINE%%'
mv "$folder/followed" "$folder/followed.1"
echo 'wanted 6' >"$folder/followed"
within_a_minute "a line after rotation" events 6 '%%LINE%%'

for call in getrandom inotify_init1; do
    grep -q "$call(.*ENOSYS.*INJECTED" "$folder/agent.calls" || fail "the agent did not try $call, so nothing was shown of its absence"
done
grep -q "recvmmsg(.*ENOSYS.*INJECTED" "$folder/server.calls" || fail "the server did not try recvmmsg"
newer=$(sed -n 's/^\[ *\([0-9]*\)\] \([a-z0-9_]*\)(.*/\1 \2/p' "$folder/agent.calls" "$folder/server.calls" | sort -un |
    awk -v last=$last '$1 > last { print $2 }')
for call in $newer; do
    if grep -h "\] $call(" "$folder"/*.calls | grep -qv 'INJECTED'; then fail "$call is newer than Linux 3.2 and was used"; fi
done
echo "system calls: $(sed -n 's/^\[ *[0-9]*\] \([a-z0-9_]*\)(.*/\1/p' "$folder/agent.calls" "$folder/server.calls" | sort -u | tr '\n' ' ')"
echo "newer than Linux 3.2, and done without: $newer"
