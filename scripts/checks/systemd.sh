#!/bin/sh
# Runs scripts/init/*.service under a separate systemd, in namespaces, on an overlay of this system's files that is dropped at the end. Checks
# what the agent, its commands and those of outputs may do there and what they may not, and that systemd restarts both programs when they are killed.
#   scripts/checks/systemd.sh [FOLDER]      with the static programs; by default dist/x86_64-unknown-linux-musl
# Needs root, Debian's systemd, a kernel with overlayfs, and a cgroup2 in which it may make a group. Status 77: this system does not allow it.
set -eu
case ${1:-} in
--boot | --look) stage=$1 here=$2 ;;
*) stage='' && cd "$(dirname "$0")/../.." && here=scripts/lib ;;
esac
# shellcheck source=scripts/lib/checking.sh
. "$here/checking.sh"
# shellcheck source=scripts/lib/systemd-root.sh
. "$here/systemd-root.sh"
stream=/srv/436/events.log
logs=$stream

# Mounts a root that is dropped at the end, and becomes its systemd.
boot() {
    mount_systemd_root / "$1" 50%
    set_up "$1"
    : >"$1/mounted"
    become_systemd /run/units
}

# The programs, a host with a configuration, and the units that systemd starts: the two, a process of another user, and this check.
set_up() {
    cp "$1/aa436" "$1/ax436" "$root/usr/local/bin/"
    cp "$1/look" "$1/tell" "$root/usr/local/bin/"
    cp "$(command -v id)" "$root/usr/local/bin/id-of-mail"
    chgrp mail "$root/usr/local/bin/id-of-mail"
    chmod 2755 "$root/usr/local/bin/id-of-mail"
    cp "$1"/*.service "$root/run/units/"
    rm -rf "$root/srv/436" "$root/var/lib/aa436"
    mkdir -p "$root/srv/436/hosts" "$root/home/someone"
    printf '%s\n' 'event_stream: events.log' 'port: 4360' 'broadcast: 127.255.255.255' 'hosts: hosts' \
        'output: tell' 'run: /usr/local/bin/tell' >"$root/srv/436/ax436.conf"
    cp "$1/rules" "$root/srv/436/hosts/unit"
    printf '%s\n' 'OPTIONS="-n unit"' PROJECT436_TEST_CLOCK=10 >"$root/etc/default/aa436"
    for name in /var/log/private.log /home/someone/private.log; do
        echo 'a line of before' >"$root$name"
        chown 65534 "$root$name"
        chmod 600 "$root$name"
    done
    chmod 700 "$root/home/someone"
    chown 65534 "$root/home/someone"
    printf '%s\n' '[Unit]' DefaultDependencies=no 'Wants=ax436.service aa436.service other.service peer.service check.service' >"$root/run/units/check.target"
    printf '%s\n' '[Service]' User=nobody 'ExecStart=/bin/sleep 4711' >"$root/run/units/other.service"
    printf '%s\n' '[Service]' User=nobody "ExecStart=/usr/bin/python3 -m http.server --bind :: 4712" >"$root/run/units/peer.service"
    write_check_unit "/run/check/systemd.sh --look /run/check"
}

# The command of the output of the server. It keeps a line for each attempt, as that of the agent prints them.
write_output() {
    cat >"$1/tell" <<'END'
#!/bin/sh
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name 1"; else echo "$name 0"; fi; }
{
    try home touch "$HOME/mine"
    try ipv6 python3 -c 'import socket; socket.create_connection(("::1", 4712))'
    try setgid sh -c '[ "$(id-of-mail -gn)" = mail ]'
    try etc touch /etc/mine
    try clock date -s 2020-01-01
} >told.new
mv told.new told
END
    chmod 755 "$1/tell"
}

# The command that the configuration makes the agent run. It prints a line for each attempt: its name, and 1 if it succeeded.
write_rules() {
    cat >"$1/look" <<'END'
#!/bin/sh
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name 1"; else echo "$name 0"; fi; }
try dmesg dmesg
try df df -k /
try state touch mine
try etc touch /etc/mine
try clock date -s 2020-01-01
END
    chmod 755 "$1/look"
    {
        for name in /var/log/private.log /home/someone/private.log; do printf '%s\n' "file: $name" 'match: .' 'alert_all: tags=LINE'; done
        printf '%s\n' 'process: sleep 4711' 'alert_running: tags=OTHER min=2 max=2 message=processes of another'
        echo 'run: command=/usr/local/bin/look extract=^(\w+) (\d)'
        for name in dmesg df state etc clock; do echo "alert_metric: tags=TRY_$name match=1,$name metric=2"; done
        printf '%s\n' 'run: command=@df extract=^(/) (\d+)%' 'alert_metric: tags=BUILTIN_DF match=1,/ metric=2'
    } >"$1/rules"
}

restarted() { [ "$(systemctl show -p NRestarts --value "$1")" -ge 1 ] && systemctl -q is-active "$1"; }

told() { grep -qx -- "$1" /srv/436/told 2>/dev/null; }

look() {
    within_a_minute "the configuration is in force" events 1 'in force: [0-9]* rules'
    within_a_minute "it follows files that only another user can read" events 2 '%%Following .*private.log from its end'
    for name in /var/log/private.log /home/someone/private.log; do
        echo 'of another user' >>$name
        within_a_minute "a line of $name" events 1 "%%LINE%%$name%%of another user"
    done
    within_a_minute "processes of other users" events 1 '%%OTHER%%NULL%%processes of another \[1\]'
    within_a_minute "@df" events 1 '%%BUILTIN_DF%%NULL%%[0-9]'
    for name in dmesg df state; do within_a_minute "a command: $name" events 1 "%%TRY_$name%%NULL%%1"; done
    for name in etc clock; do within_a_minute "a command may not: $name" events 1 "%%TRY_$name%%NULL%%0"; done
    for name in home ipv6; do within_a_minute "a command of an output: $name" told "$name 1"; done
    for name in setgid etc clock; do within_a_minute "a command of an output may not: $name" told "$name 0"; done
    mkdir /run/units/ax436.service.d
    cp /run/check/ax436-setgid.conf /run/units/ax436.service.d/setgid.conf
    { systemctl daemon-reload && systemctl restart ax436; } || fail "the drop-in"
    echo 'after the drop-in' >>/var/log/private.log
    within_a_minute "a command of an output, with the drop-in: setgid" told "setgid 1"
    for name in etc clock; do within_a_minute "with the drop-in it may not: $name" told "$name 0"; done
    systemctl reload aa436 ax436 || fail "reload"
    for unit in aa436 ax436; do
        systemctl kill -s KILL $unit
        within_a_minute "$unit came back" restarted $unit
        echo "after $unit" >>/var/log/private.log
        within_a_minute "a line after that" events 1 "%%LINE%%/var/log/private.log%%after $unit"
    done
    systemctl stop aa436 ax436 || fail "stop"
    for unit in aa436 ax436; do [ "$(systemctl is-active $unit)" = inactive ] || fail "$unit: $(systemctl is-active $unit)"; done
    echo "All passed: $(systemctl --version | head -n 1)"
}

case $stage in
--boot) boot "$here" ;;
--look) look ;;
*)
    programs=$(cd "${1:-dist/x86_64-unknown-linux-musl}" && pwd)
    need systemd-analyze systemd
    need pivot_root util-linux
    need /usr/bin/python3 python3
    folder=$(mktemp -d)
    make_group || { rmdir "$folder"; skip "this system lets no group be made in cgroup2"; }
    trap 'rm -rf "$folder"; within_a_minute "nothing is left" remove_group' EXIT
    cp "$programs/aa436" "$programs/ax436" scripts/init/*.service scripts/init/ax436-setgid.conf scripts/lib/checking.sh scripts/lib/systemd-root.sh scripts/checks/systemd.sh "$folder"
    write_rules "$folder"
    write_output "$folder"
    in_group 300 sh scripts/checks/systemd.sh --boot "$folder"
    if ! [ -e "$folder/mounted" ]; then
        skip "this system does not let a root be made from namespaces and an overlay"
    fi
    cat "$folder/said" || true
    grep -q '^All passed' "$folder/said"
    ;;
esac
