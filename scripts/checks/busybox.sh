#!/bin/sh
# Runs the static x86_64 agent on a device of nothing but BusyBox: a root with its applets and aa436, in namespaces of its own. Needs root, and
# busybox-static and util-linux on Debian.
#   scripts/checks/busybox.sh [FOLDER]      with the programs; by default dist/x86_64-unknown-linux-musl
set -eu
if [ "${1:-}" != --inside ]; then cd "$(dirname "$0")/../.."; fi
. scripts/lib/checking.sh

if [ "${1:-}" != --inside ]; then
    programs=$(cd "${1:-dist/x86_64-unknown-linux-musl}" && pwd)
    need busybox busybox-static
    need unshare util-linux
    folder=$(mktemp -d)
    status=0
    # When the first process of the namespace ends, the kernel ends all others and removes the mounts.
    unshare --net --pid --ipc --uts --mount --fork --kill-child sh scripts/checks/busybox.sh --inside "$programs" "$folder" || status=$?
    rmdir "$folder"
    exit "$status"
fi

programs=$2
folder=$3
mount -t tmpfs tmpfs "$folder"
root=$folder/root
site=$folder/site
stream=$site/events.log
logs="$stream $root/tmp/aa436.log $site/ax436.log"

say() { echo "== $*"; }

device() { chroot "$root" /bin/env -i PATH=/sbin:/bin:/usr/sbin:/usr/bin PROJECT436_TEST_CLOCK=10 "$@"; }

make_root() {
    mkdir -p "$root"
    for name in bin sbin usr/bin usr/sbin etc/init.d etc/default proc dev tmp var/run; do mkdir -p "$root/$name"; done
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in $(busybox --list); do ln -s /bin/busybox "$root/bin/$applet" 2>/dev/null || true; done
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o size=1m tmpfs "$root/tmp"
    mknod -m 666 "$root/dev/null" c 1 3
    mknod -m 444 "$root/dev/urandom" c 1 9
    cp "$programs/aa436" "$root/usr/bin/aa436"
    cp scripts/init/aa436.sh "$root/etc/init.d/S90aa436"
    # As on OpenWrt. This zone is five and a half hours ahead of UTC.
    echo 'IST-5:30' >"$root/etc/TZ"
    # A link in the path of the program, as many devices have in /tmp or /var.
    ln -s usr/bin "$root/programs"
    echo 'PROGRAM=/programs/aa436 OPTIONS="-l /tmp/aa436.log -n myrouter"' >"$root/etc/default/aa436"
}

start_server() {
    cp -r examples "$site"
    rm "$site/hosts_436/demo" "$site/hosts_436/mynas"
    ip link set lo up
    (cd "$site" && PROJECT436_TEST_CLOCK=10 exec "$programs/ax436" -l ax436.log ax436.conf) &
    within_a_minute "the server runs" grep -qs 'on port' "$site/ax436.log"
}

say "A root of BusyBox and aa436: $(busybox | head -n 1)"
make_root
if find "$root" -xdev -type f | grep -v -e /bin/busybox -e /bin/aa436 -e /etc/ -e '/proc/'; then fail "there is more in it than that"; fi
start_server

say "The example for BusyBox, started by the init script"
device syslogd -C64
device /etc/init.d/S90aa436 start || fail "start"
device /etc/init.d/S90aa436 status || fail "status"
within_a_minute "the example is in force" events 1 'myrouter%%.*in force: [0-9]* rules'
if grep -q 'Configuration error' "$stream"; then fail "the example has an error"; fi
within_a_minute "@df, @load, @mem" events 1 '%%LOAD5%%NULL%%[0-9]'
within_a_minute "a process that is missing" events 1 '%%ROUTER_DNS%%NULL%%dnsmasq processes \[0\]'

say "The log in memory"
device logger -t dropbear -p authpriv.warn 'Bad password attempt for root'
within_a_minute "a line of logread -f" events 1 '%%ROUTER_LOG%%|logread -f%%.*Bad password attempt for root'

say "A process appears"
printf '#!/bin/sh\nsleep 1000\n' >"$root/usr/sbin/dnsmasq"
chmod 755 "$root/usr/sbin/dnsmasq"
device /usr/sbin/dnsmasq &
within_a_minute "all clear" events 1 'Process check: All clear'

say "BusyBox ps and df"
printf '%s\n' 'ps_command: ps' 'process: [d]nsmasq' 'alert_running: tags=PS min=2 max=9 message=by ps' \
    'run: command=df -k /tmp extract=^(tmpfs) +(\d+) +(\d+) +(\d+) +(\d+)% /tmp$' 'alert_metric: tags=DF match=1,tmpfs metric=2' \
    >>"$site/hosts_436/myrouter"
within_a_minute "df" events 1 '%%DF%%NULL%%1024$'
within_a_minute "ps" events 1 '%%PS%%NULL%%by ps \[1\]'

say "The time of /etc/TZ"
minutes() { echo "$1" | awk -F: '{ print $1 * 60 + $2 }'; }
here=$(minutes "$(TZ=UTC date -d "@$(stat -c %Y "$root/var/run/aa436.pid")" +%H:%M)")
there=$(minutes "$(sed -n '1s/^[^ ]* \(..:..\).*/\1/p' "$root/tmp/aa436.log")")
ahead=$(((there - here + 1440) % 1440))
if [ "$ahead" -lt 329 ] || [ "$ahead" -gt 331 ]; then fail "the log is $ahead minutes ahead of UTC, not 330"; fi
echo "ok: $ahead minutes ahead of UTC"

say "Restart, stop"
before=$(cat "$root/var/run/aa436.pid")
device /etc/init.d/S90aa436 start | grep -q 'runs already' || fail "a second start"
device /etc/init.d/S90aa436 restart || fail "restart"
[ "$(cat "$root/var/run/aa436.pid")" != "$before" ] || fail "it was not restarted"
within_a_minute "it speaks again" events 2 'Agent started'
device /etc/init.d/S90aa436 stop || fail "stop"
if device pidof aa436; then fail "it still runs"; fi
[ ! -e "$root/var/run/aa436.pid" ] || fail "the pid file is still there"
if device /etc/init.d/S90aa436 status; then fail "status says that it runs"; fi
if device pidof logread; then fail "logread still runs"; fi

say "OpenWrt's script, with a stand-in for procd"
cat >"$root/etc/rc.common" <<'EOF'
procd_open_instance() { :; }
procd_close_instance() { echo; }
procd_set_param() { echo "$@"; }
. "$1"
start_service
EOF
cp scripts/init/aa436.openwrt "$root/etc/init.d/aa436"
chmod 755 "$root/etc/rc.common"
said=$(device /bin/sh /etc/rc.common /etc/init.d/aa436)
echo "$said" | grep -q '^command /programs/aa436 -l syslog -l /tmp/aa436.log -n myrouter 4360$' || fail "the command is: $said"

say "OpenWrt's script with /etc/config, with stand-ins for uci and procd"
mkdir -p "$root/etc/config"
cp scripts/packages/aa436.uci "$root/etc/config/aa436"
cat >"$root/etc/rc.common" <<'EOF'
config_load() { :; }
config_foreach() { "$1" main; }
value() { sed -n "s/^[[:space:]]*option $1 '\(.*\)'/\1/p" /etc/config/aa436; }
config_get() { eval "$1=\$(value $3); $1=\${$1:-$4}"; }
config_get_bool() { config_get "$@"; }
config_list_foreach() { sed -n "s/^[[:space:]]*list $2 '\(.*\)'/\1/p" /etc/config/aa436 >/tmp/list; while read -r entry; do "$3" "$entry"; done </tmp/list; }
procd_open_instance() { :; }
procd_set_param() { name=$1; shift; printf '%s' "$name"; printf ' <%s>' "$@"; }
procd_append_param() { shift; printf ' <%s>' "$@"; }
procd_close_instance() { echo; }
. "$1"
start_service
EOF
printf '\toption %s\n' "server 'pi.lan'" "key_file '/etc/aa436.key'" >>"$root/etc/config/aa436"
printf '\tlist %s\n' "allow 'df( -k)?'" "files '/var/log'" >>"$root/etc/config/aa436"
said=$(device /bin/sh /etc/rc.common /etc/init.d/aa436)
wanted='command </usr/bin/aa436> <-l> <syslog> <-s> <pi.lan> <-k> </etc/aa436.key> <-x> <-a> <df( -k)?> <-f> </var/log> <4360>respawn <3600> <5> <0>stderr <1>'
[ "$said" = "$wanted" ] || fail "the command is: $said"

say "Other options leave the log in syslog"
printf '%s\n' PROGRAM=/programs/aa436 'OPTIONS="-n myrouter"' >"$root/etc/default/aa436"
said=$(device /bin/sh -x /etc/init.d/S90aa436 start 2>&1) || true
echo "$said" | grep -q -- '-l syslog -n myrouter 4360' || fail "the command is: $said"
device /etc/init.d/S90aa436 stop >/dev/null || true
say "All passed"
