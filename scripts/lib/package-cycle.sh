# Runs in the root of a check, as its only script: installs both packages, starts the programs, upgrades them, removes them, and looks at what
# each step left. The shell may be BusyBox's.
#   sh package-cycle.sh FOLDER FORMAT
# shellcheck shell=sh disable=SC1091,SC2034,SC2086,SC2154 # package-managers.sh sets them, and $pattern is one
set -eu
folder=$1 format=$2
. "$folder/checking.sh"
. "$folder/package-managers.sh"
conf=/etc/436/ax436.conf
logs="$folder/output $stream"

ok() { echo "ok: $*"; }

# Runs a command of the package manager and keeps what it said.
quietly() { "$@" >"$folder/output" 2>&1 </dev/null || fail "$*"; }

# All files but those of the package manager, of this check and of the programs for users.
files() {
    # shellcheck disable=SC2046 # a list
    (cd / && find . -xdev \( $(for place in ./run ./dev ./tmp ./proc ./sys ./var/log $databases; do printf -- '-path %s -o ' "$place"; done) \
        -path './etc/*-' \) -prune -o -print | sort)
}

runs() { pidof "$1" >/dev/null; }
gone() { ! runs "$1"; }
other_than() { [ "$(pidof "$1")" ] && [ "$(pidof "$1")" != "$2" ]; }
is_older() { [ "$(tail -c 6 "/usr/bin/$1")" = older ] && "$1" -V >/dev/null; }

number=0
write() { # write COUNT
    for _ in $(seq "$1"); do
        number=$((number + 1))
        echo "line $number" >>/var/log/app.log
    done
}

lines() { sed -n 's/.*%%line \([0-9]*\)$/\1/p' "$stream"; }

start_both() {
    set_options
    mkdir -p "${stream%/*}"
    printf '%s\n' 'file: /var/log/app.log' 'match: line ([0-9]+)' 'alert_all: tags=LINE' >/etc/436/hosts/box
    echo '# mine' >>"$conf"
    for name in ax436 aa436; do
        at_boot "$name"
        is_at_boot "$name" || fail "$name is not enabled"
        if [ "$starts_itself" = yes ]; then quietly service restart "$name"; else quietly service start "$name"; fi
    done
    within_a_minute "both programs run" events 1 'Following /var/log/app.log'
}

owned() { [ "$(stat -c '%U' "$stream")" = ax436 ] || fail "the event stream belongs to $(stat -c '%U' "$stream")"; }

installs() {
    quietly install "$folder"/old/$pattern
    [ "$starts_itself" = yes ] || gone aa436 || fail "installing started the agent"
    [ -z "$(find /etc -name '*436*'"$fresh")" ] || fail "there are new defaults after installing"
    : >/var/log/app.log
    start_both
    owned
    write 100
    within_a_minute "lines" events 100 '%%LINE%%'
}

# Without room nothing is upgraded, and what there was works on: at once, or where there is room for what the package manager writes first. The
# log that the agent follows is on another file system.
disk_full() { # disk_full KIB
    agent=$(pidof aa436)
    dd if=/dev/zero of=/room bs=1024 count="$1" 2>/dev/null
    dd if=/dev/zero of=/filling bs=4096 2>/dev/null || true
    rm /room
    [ "$(df -k / | awk 'END { print $4 }')" -lt $(($1 + 16)) ] || fail "the disk is not full"
    if upgrade "$folder"/new/$pattern >"$folder/output" 2>&1 </dev/null; then fail "an upgrade without room"; fi
    rm /filling
    for name in aa436 ax436; do
        is_older $name || fail "$name is not the program of before"
        runs $name || fail "$name has ended"
    done
    write 1
    within_a_minute "with $1 KiB of room: $(grep -i -e 'no space' -e space -e room "$folder/output" | tail -n 1)" events $number '%%LINE%%'
}

upgrades() {
    agent=$(pidof aa436) server=$(pidof ax436)
    cat "$options" "$conf" >"$folder/configuration"
    write 50
    quietly upgrade "$folder"/new/$pattern
    write 50
    within_a_minute "the upgrade starts the agent again" other_than aa436 "$agent"
    within_a_minute "the upgrade starts the server again" other_than ax436 "$server"
    within_a_minute "every line of before, during and after the upgrade" events $number '%%LINE%%'
    [ -z "$(lines | sort | uniq -d)" ] || fail "a line came twice"
    [ "$(lines | sort -u | wc -l)" = $number ] || fail "a line is missing"
    cat "$options" "$conf" | cmp -s - "$folder/configuration" || fail "the upgrade changed configuration"
    for file in "$options" "$conf"; do
        [ -s "$file$fresh" ] || fail "there is no $file$fresh"
        if grep -q 'older default' "$file$fresh"; then fail "$file$fresh is not the new default"; fi
    done
    ok "configuration was kept, with the new defaults beside it"
    for name in aa436 ax436; do
        ! is_older $name || fail "$name is the program of before"
        is_at_boot $name || fail "the upgrade disabled $name"
    done
}

# Removal while both programs run.
removes() {
    quietly remove aa436 ax436
    for name in aa436 ax436; do
        within_a_minute "removal ends $name" gone $name
        if is_at_boot $name; then fail "removal left $name enabled"; fi
    done
    for file in /etc/436/hosts/box "$stream" "$options$saved" "$conf$saved"; do
        [ -e "$file" ] || fail "removal took $file"
    done
    ok "removal leaves configuration and events"
    quietly clear
    quietly clear_user
    [ ! -e /mnt/sda1 ] || rm -r /mnt/sda1
    files >"$folder/after"
    diff "$folder/before" "$folder/after" >"$folder/left" || { grep '^[<>+-]' "$folder/left"; fail "something was left, or too much taken"; }
    for file in passwd group; do cmp -s "$folder/$file" "/etc/$file" || fail "/etc/$file is another"; done
    ok "without those nothing is left"
}

# A user of that name that somebody made, with a home folder and a group of its own.
user_of_before() {
    echo 'ax436:x:777:778:Somebody:/home/somebody:/bin/sh' >>/etc/passwd
    echo 'somebody:x:778:' >>/etc/group
    quietly install "$folder"/new/$pattern
    grep -q '^ax436:x:777:778:Somebody:/home/somebody:' /etc/passwd || fail "installing changed the user"
    rm -f "$stream"
    start_both
    owned
    ok "with a user of that name of before"
    quietly remove aa436 ax436
    quietly clear
    grep -q '^ax436:x:777:778:' /etc/passwd || fail "removal or purging took a user that was there before"
}

mkdir -p /var/log
files >/dev/null
quietly prepare
boot
files >"$folder/before"
cp /etc/passwd /etc/group "$folder/"
installs
for room in $rooms; do disk_full $room; done
upgrades
removes
user_of_before
echo "All passed: $format"
