#!/bin/sh
# Follows the section "The first event" of docs/install.md word for word, on devices in namespaces, and measures how long its commands take from
# nothing to the first event of one's own. Then scripts/install.sh replaces and removes agents as users with sudo and with doas.
#   scripts/checks/first-event.sh [--write]      writes the seconds into the document
# Needs root, dist/x86_64-unknown-linux-musl, and debootstrap, iproute2 and openssh-client on Debian. The roots of the devices are made once, in
# target/. Status 77: this system does not allow it.
set -eu
if [ "${1:-}" != --inside ]; then cd "$(dirname "$0")/../.."; fi
. scripts/lib/checking.sh
. scripts/lib/devices.sh
logs=''
target=x86_64-unknown-linux-musl
document=docs/install.md
packages=${CARGO_TARGET_DIR:-target}/first-event

if [ "${1:-}" != --inside ]; then
    [ -x dist/$target/ax436 ] || fail "dist/$target is missing: scripts/build-all.sh $target"
    # Out here, since it may have to install its tool.
    ./scripts/package.sh -o "$packages" $target
    run_inside scripts/checks/first-event.sh "${1:-}"
fi
folder=$2 roots=$3 write=$4
ok() { echo "ok: $*"; }

# The block of code behind a mark of the document.
block() { # block MARK
    awk -v mark="<!-- $1 -->" '$0 == mark { marked = 1; next } !marked { next } /^```/ { if (inside) { exit } inside = 1; next } inside' $document |
        tee "$folder/block"
    [ -s "$folder/block" ] || fail "$document has no block behind $1"
}

# Runs the commands of a block as root of a device, in root's folder, or here.
on() { # on DEVICE MARK
    block "$2" >"$folder/commands"
    { echo 'cd /root'; cat "$folder/commands"; } | ssh "root@$1" sh -es >"$folder/said" 2>&1 || fail "on $1: $2"
}

# `scripts/install.sh` asks for a password on its standard input.
here() { # here MARK
    block "$1" >"$folder/commands"
    echo 'se cret' | sh -e "$folder/commands" >"$folder/said" 2>&1 || fail "here: $1"
}

# Tenths of a second since the system was started.
tenths() { sed 's/^\([0-9]*\)\.\([0-9]\).*/\1\2/' /proc/uptime; }

own_event() { grep -q "$1.*ERROR.*an error of my own" "$folder/events"; }

follows() { grep -q "$1.*Following $2" "$folder/events"; }

first_event() { # first_event DEVICE HOW LOG WHAT
    began=$(tenths)
    case $2 in
    on) on "$1" "on $1" ;;
    for) here "for $1" ;;
    esac
    block "$3" >"$folder/server/etc/436/hosts/$1"
    log=journal
    [ "$3" = journal ] || log=/var/log/messages
    within_a_minute "$1 follows its log" follows "$1" "$log"
    on "$1" event
    within_a_minute "$1 has an event of its own" own_event "$1"
    took=$(($(tenths) - began))
    echo "| $4 | $((took / 10)).$((took % 10)) |" >>"$folder/table"
}

make_network
logs="$folder/said $folder/events"
start_device server systemd 2
start_device debian systemd 3
start_device raspberrypi systemd 4
start_device nas sysvinit 5
start_device alpine openrc 6
start_device device busybox 7
cp "$packages"/ax436*.deb "$folder/server/root/"
cp "$packages"/aa436*.deb "$folder/debian/root/"
cp dist/$target/aa436 scripts/init/aa436.openrc "$folder/alpine/root/"

printf '%s\n' '' '| device | what stood for it | seconds |' '| --- | --- | --- |' >"$folder/table"
began=$(tenths)
on server 'on server'
took=$(($(tenths) - began))
echo "| the server | Debian 12 with systemd, the \`.deb\` | $((took / 10)).$((took % 10)) |" >>"$folder/table"
: >"$folder/events"
# The commands that show events go on until the end of this check.
block events >"$folder/watch"
ssh root@server sh -es <"$folder/watch" >"$folder/events" 2>&1 &
first_event debian on journal "Debian, Ubuntu | Debian 12 with systemd, the \`.deb\`"
first_event raspberrypi for journal 'Raspberry Pi OS | Debian 12 with systemd, by a user with sudo'
first_event nas for file 'NAS | Debian 12 with a System V script, by a user whose sudo wants a password'
first_event alpine on file 'Alpine | Debian 12 with OpenRC, by hand'
first_event device for file 'BusyBox only | BusyBox as init, shell and syslogd'
echo >>"$folder/table"

# Who may install.
runs() { [ -n "$(agent "$1")" ]; }
agent() { ssh "root@$1" 'pidof aa436' 2>/dev/null </dev/null; }
for user in pi@nas dora@nas pi@raspberrypi dora@raspberrypi; do
    device=${user#*@}
    before=$(agent "$device")
    ./scripts/install.sh -y "$user" >"$folder/said" 2>&1 </dev/null || fail "$user: an upgrade"
    within_a_minute "$user upgrades the agent" runs "$device"
    [ "$(agent "$device")" != "$before" ] || fail "$user: the agent was not started again"
    ./scripts/install.sh -y --remove "$user" >"$folder/said" 2>&1 </dev/null || fail "$user: removal"
    if runs "$device"; then fail "$user: the agent was removed and runs"; fi
    left=$(ssh "root@$device" "find / -xdev -name '*aa436*' ! -path '/var/lib/*'" </dev/null)
    [ -z "$left" ] || fail "$user: removal left $left"
    ./scripts/install.sh "$user" >"$folder/said" 2>&1 </dev/null || fail "$user: an installation"
    within_a_minute "$user removes and installs it" runs "$device"
done
# Nobody else: without doas and sudo, a user is told so.
rm "$folder/nas/usr/bin/doas" "$folder/nas/usr/bin/sudo"
if ./scripts/install.sh -y dora@nas >"$folder/said" 2>&1 </dev/null; then fail "a user without doas"; fi
grep -q 'neither the rights of root nor sudo or doas' "$folder/said" || fail "it does not say why"
ok "a user without rights is told so"

cat "$folder/table"
if [ "$write" = --write ]; then
    sed -i -e "/^<!-- figures: scripts.checks.first-event.sh -->/r $folder/table" -e '/^<!-- figures/,/^<!-- end of figures/{/^<!--/!d}' $document
fi
echo "All passed"
