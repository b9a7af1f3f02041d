#!/bin/sh
# Checks what scripts/package.sh makes of all that is in dist/, or for i386 of its target alone: lintian finds no error, sums and signature fit, rpm
# reads its packages. Then Debian's packages are installed in a root of Debian 12 without systemd that debootstrap made, started, upgraded while
# lines are written, removed and purged. A signature by a key made here is right, and one of changed sums is not.
#   scripts/checks/packages.sh [amd64|i386]
# Needs root, dist/ with the target of that processor, and debootstrap, lintian, minisign, rpm and systemd on Debian. The root of Debian is made
# once, in target/. Status 77: it cannot be made here.
set -eu
if [ "${1:-}" != --inside ]; then cd "$(dirname "$0")/../.."; fi
. scripts/lib/checking.sh
logs=''

case ${1:-amd64} in
amd64 | i386)
    architecture=${1:-amd64} target=x86_64-unknown-linux-musl
    packed=''
    [ "$architecture" = amd64 ] || { target=i586-unknown-linux-musl && packed=$target; }
    . scripts/lib/debian.sh
    . scripts/lib/package-roots.sh
    need debootstrap debootstrap
    need lintian lintian
    need minisign minisign
    need rpm rpm
    need systemd-analyze systemd
    base=$made/debian-root-$architecture/root
    make_debian "$made/debian-root-$architecture" "--arch=$architecture" || skip "no root of Debian 12 can be made here"
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    minisign -G -W -f -p "$folder/key.pub" -s "$folder/key" >/dev/null
    make_older_packages "$folder" $target
    # shellcheck disable=SC2086 # none, or one
    ./scripts/package.sh -k "$folder/key" -o "$folder/new" $packed
    unshare --net --pid --mount --fork --kill-child --mount-proc sh scripts/checks/packages.sh --inside "$folder" "$base" "$architecture"
    exit
    ;;
--inside) ;;
*) sed -n '2,7s/^# \{0,1\}//p' scripts/checks/packages.sh >&2; exit 2 ;;
esac

folder=$2 base=$3 architecture=$4 root=$2/root
new=$folder/new

ok() { echo "ok: $*"; }

# shellcheck disable=SC2154
lintian --allow-root --fail-on error "$new"/*.deb >"$folder/lintian" 2>&1 || { cat "$folder/lintian"; fail "lintian found errors"; }
ok "lintian finds no error"
(cd "$new" && sha256sum --check --quiet --strict SHA256SUMS) || fail "the sums do not fit"
minisign -V -q -p "$folder/key.pub" -m "$new/SHA256SUMS" || fail "the signature does not fit"
sed 's/^./0/' "$new/SHA256SUMS" >"$folder/changed" && cp "$new/SHA256SUMS.minisig" "$folder/changed.minisig"
if minisign -V -q -p "$folder/key.pub" -m "$folder/changed" 2>/dev/null; then fail "the signature fits other sums"; fi
ok "sums and signature"
for package in "$new"/*.deb; do
    unit=$(basename "$package" | cut -d_ -f1).service
    # The programs need not be installed here.
    dpkg-deb --fsys-tarfile "$package" | tar -xO "./lib/systemd/system/$unit" | sed 's|/usr/bin/a.436|/bin/true|' >"$folder/$unit"
    said=$(systemd-analyze verify "$folder/$unit" 2>&1) || said="$said (status $?)"
    [ -z "$said" ] || fail "$unit: $said"
done
ok "units of systemd"
for package in "$new"/*.rpm; do
    rpm --checksig --nosignature "$package" >/dev/null || fail "$package"
    rpm -qlp "$package" 2>/dev/null | grep -q "^/usr/lib/systemd/system/a.436.service$" || fail "no unit in $package"
done
ok "rpm reads its packages"

mkdir -p "$root" "$folder/layers"
mount -t tmpfs tmpfs "$folder/layers"
mkdir "$folder/layers/upper" "$folder/layers/work"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$folder/layers/upper,workdir=$folder/layers/work" "$root" || skip "this system lets no overlay be mounted"
mount -t proc proc "$root/proc"
ip link set lo up
mkdir "$root/old" "$root/new"
cp "$folder"/old/*.deb "$root/old/"
cp "$new"/*_"$architecture".deb "$root/new/"

# No init runs there: without this, Debian's invoke-rc.d would start nothing.
printf '#!/bin/sh\nexit 0\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }

# Every file but those of dpkg itself, copies and a lock that the tools for users leave, and what this check brought.
files() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./old -o -path ./new -o -path ./var/lib/dpkg -o -path ./var/log -o -path ./dev \
        -o -path './etc/*-' -o -path ./run/adduser \) -prune -o -print | sort)
}

stream=$root/var/lib/436/events.log
logs="$root/var/lib/436/ax436.log $stream"

# As the unit does: as its user, in its folder.
start_server() {
    # shellcheck disable=SC2016
    inside setpriv --reuid ax436 --regid ax436 --init-groups sh -c 'cd /etc/436 && umask 0027 && exec /usr/bin/ax436 -d -l /var/lib/436/ax436.log -p /var/lib/436/pid ax436.conf'
    within_a_minute "the server runs" test -s "$root/var/lib/436/pid"
}

agent() { cat "$root/run/aa436.pid"; }
runs() { [ -s "$root/run/aa436.pid" ] && [ -d "/proc/$(agent)" ]; }

files >"$folder/before"
cp "$root/etc/passwd" "$folder/passwd"
inside dpkg -i "/old/aa436_0.0.1-1_$architecture.deb" "/old/ax436_0.0.1-1_$architecture.deb" >"$folder/said" 2>&1 || { cat "$folder/said"; fail "dpkg -i"; }
[ "$(inside stat -c '%U %a' /var/lib/436)" = 'ax436 750' ] || fail "/var/lib/436 is not the server's"
grep -q '^ax436:' "$root/etc/passwd" || fail "there is no user ax436"
within_a_minute "installing starts the agent" runs
tr '\0' ' ' <"/proc/$(agent)/cmdline" | grep -q -- ' -l syslog -x 4360 $' || fail "the agent runs as $(tr '\0' ' ' <"/proc/$(agent)/cmdline")"
[ "$(grep -c . "$root/var/lib/dpkg/info/aa436.conffiles")" = 2 ] || fail "aa436 has not two conffiles"

# What an administrator would change.
printf '%s\n' PORT=4360 'OPTIONS="-x -n box -S /var/lib/aa436/positions"' >"$root/etc/default/aa436"
mkdir -p "$root/var/lib/aa436"
printf '%s\n' 'file: /var/log/app.log' 'match: line ([0-9]+)' 'alert_all: tags=LINE' >"$root/etc/436/hosts/box"
echo '# mine' >>"$root/etc/436/ax436.conf"
: >"$root/var/log/app.log"
inside ax436 -t /etc/436/ax436.conf >"$folder/said" 2>&1 || true
start_server
inside /etc/init.d/aa436 restart >/dev/null
within_a_minute "the log is followed" events 1 'Following /var/log/app.log'
before=$(agent)
number=0
write() { # write COUNT
    for _ in $(seq "$1"); do
        number=$((number + 1))
        echo "line $number" >>"$root/var/log/app.log"
    done
}
write 100
within_a_minute "lines" events 100 '%%LINE%%'
write 50
inside sh -c 'dpkg --force-confold -i /new/*.deb' >"$folder/said" 2>&1 || { cat "$folder/said"; fail "the upgrade"; }
write 50
within_a_minute "the upgrade starts the agent again" runs
[ "$(agent)" != "$before" ] || fail "the upgrade did not start the agent again"
within_a_minute "every line of before, during and after the upgrade" events 200 '%%LINE%%'
[ "$(sed -n 's/.*%%line \([0-9]*\)$/\1/p' "$stream" | sort -n | uniq -d | wc -l)" = 0 ] || fail "a line came twice"
[ "$(sed -n 's/.*%%line \([0-9]*\)$/\1/p' "$stream" | sort -nu | wc -l)" = 200 ] || fail "a line is missing"
grep -q -- '-n box' "$root/etc/default/aa436" || fail "the upgrade lost the agent's options"
grep -q '# mine' "$root/etc/436/ax436.conf" || fail "the upgrade lost the server's configuration"
tr '\0' ' ' <"/proc/$(agent)/cmdline" | grep -q -- '-n box' || fail "the upgraded agent has other options"
for file in etc/default/aa436 etc/436/ax436.conf; do [ -s "$root/$file.dpkg-dist" ] || fail "there is no new default of $file"; done
ok "configuration and options were kept, with the new defaults beside them"

last=$(agent)
kill "$(cat "$root/var/lib/436/pid")"
inside dpkg -r aa436 ax436 >"$folder/said" 2>&1 || { cat "$folder/said"; fail "dpkg -r"; }
[ ! -d "/proc/$last" ] || fail "removal left the agent running"
for file in "$root/etc/default/aa436" "$root/etc/436/hosts/box" "$stream"; do
    [ -e "$file" ] || fail "removal took $file, which only purging may take"
done
ok "removal leaves configuration and events"
inside dpkg -P aa436 ax436 >"$folder/said" 2>&1 || { cat "$folder/said"; fail "dpkg -P"; }
files >"$folder/after"
diff "$folder/before" "$folder/after" >"$folder/left" || { grep '^[<>]' "$folder/left"; fail "purging left something, or took too much"; }
cmp -s "$folder/passwd" "$root/etc/passwd" || fail "purging left the user"
ok "purging leaves nothing"
echo "All passed"
