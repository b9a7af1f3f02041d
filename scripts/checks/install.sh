#!/bin/sh
# Checks scripts/install.sh on made-up devices: roots of BusyBox that a stand-in for ssh enters. It installs
# dist/x86_64-unknown-linux-musl/aa436. Needs root, and busybox-static on Debian.
set -eu
if [ "${1:-}" != --inside ]; then cd "$(dirname "$0")/../.."; fi
. scripts/lib/checking.sh
need busybox busybox-static
if [ "${1:-}" != --inside ]; then
    # The programs on the made-up devices have no network, and end with this script.
    exec unshare --net --pid --mount --fork --kill-child --mount-proc sh scripts/checks/install.sh --inside
fi
folder=$(mktemp -d)
trap 'umount "$folder"/*/proc 2>/dev/null || true; rm -rf "$folder"' EXIT
faults=0

fault() {
    echo "FAULT $*"
    faults=$((faults + 1))
}

mkdir "$folder/bin"
cat >"$folder/bin/ssh" <<EOF
#!/bin/sh
[ -d "$folder/\$1" ] || exit 255
quirks=\$(cat "$folder/\$1/quirks")
exec chroot "$folder/\$1" /bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "\$quirks
\$2"
EOF
chmod 755 "$folder/bin/ssh"
PATH=$folder/bin:$PATH

# A device: the output of its uname -m, the first 52 bytes of its /sbin/init as octal numbers, and its /proc/cpuinfo.
device() { # device NAME MACHINE HEADER CPUINFO
    root=$folder/$1
    mkdir -p "$root/bin" "$root/sbin" "$root/proc" "$root/etc/init.d" "$root/tmp" "$root/dev"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in $(busybox --list); do ln -s /bin/busybox "$root/bin/$applet" 2>/dev/null || true; done
    # A function, since BusyBox prefers its own applets to programs.
    echo "uname() { case \$1 in -m) echo $2 ;; *) echo Linux ;; esac; }" >"$root/quirks"
    printf '%b' "$3" >"$root/sbin/init"
    echo "$4" >"$root/proc/cpuinfo"
    mknod -m 666 "$root/dev/null" c 1 3
}

# header CLASS ORDER PROCESSOR FLAGS: as in elf.h, FLAGS as four numbers in octal.
header() {
    if [ "$2" = 1 ]; then processor="\\0$3\\0000"; else processor="\\0000\\0$3"; fi
    printf '\\0177ELF\\000%s\\000%s\\0001\\0000' "$1" "$2"
    printf '\\0000%.0s' 1 2 3 4 5 6 7 8
    printf '\\0000\\0002%s' "$processor"
    printf '\\0000%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
    printf '%s' "$4"
    printf '\\0000%.0s' 1 2 3 4 5 6 7 8 9 10 11 12
}

none='\0000\0000\0000\0000'
# The properties of a device, and the target for it, or none.
while read -r name machine class order processor flags cpuinfo target; do
    case $name in '' | '#'*) continue ;; esac
    [ "$flags" != - ] || flags=$none
    device "$name" "$machine" "$(header "$class" "$order" "$processor" "$flags")" "Features : $cpuinfo"
    said=$(./scripts/install.sh -n "$name" 2>&1) || true
    case $said in
    *"dist/$target/aa436 to "*) echo "ok $name: $target" ;;
    *"there is no program for it"*) if [ "$target" = none ]; then echo "ok $name: none"; else fault "$name: $said"; fi ;;
    *) fault "$name: not $target: $said" ;;
    esac
done <<'EOF'
pc        x86_64  2 1 76  - -        x86_64-unknown-linux-musl
pi64      aarch64 2 1 267 - -        aarch64-unknown-linux-musl
pi64-32   aarch64 1 1 50  - vfp      armv7-unknown-linux-musleabihf
pi4       armv7l  1 1 50  - half-vfp armv7-unknown-linux-musleabihf
nofpu     armv7l  1 1 50  - half     arm-unknown-linux-musleabi
pi1       armv6l  1 1 50  - vfp      arm-unknown-linux-musleabi
kirkwood  armv5tel 1 1 50 - -        armv5te-unknown-linux-musleabi
arm4      armv4tl 1 1 50  - -        none
atheros   mips    1 2 10  \0120\0000\0020\0007 - mips-unknown-linux-musl
mediatek  mips    1 1 10  \0007\0020\0000\0120 - mipsel-unknown-linux-musl
octeon32  mips64  1 2 10  \0160\0000\0020\0007 - mips-unknown-linux-musl
octeon    mips64  2 2 10  \0200\0000\0000\0007 - none
release6  mips    1 1 10  \0007\0024\0000\0220 - none
thinclient i586   1 1 3   - -        i586-unknown-linux-musl
pc32      x86_64  1 1 3   - -        i586-unknown-linux-musl
visionfive riscv64 2 1 363 - -       riscv64gc-unknown-linux-musl
wdlive    ppc     1 2 24  - -        powerpc-unknown-linux-musl
power9    ppc64le 2 1 25  - -        none
EOF

program=dist/x86_64-unknown-linux-musl/aa436
is_installed() { # is_installed DEVICE PROGRAM SCRIPT
    cmp -s "$program" "$folder/$1/$2" && [ -x "$folder/$1/$2" ] && cmp -s "scripts/init/$3" "$folder/$1/$4" && [ ! -e "$folder/$1/$2.new" ]
}

# Two devices of this machine's processor, with the init systems of routers. A stand-in for rc.common records how it is started.
x86=$(header 2 1 76 "$none")
# shellcheck disable=SC2016
recorder='#!/bin/sh\necho "$0 $*" >>/started\n'
device buildroot x86_64 "$x86" -
touch "$folder/buildroot/etc/init.d/rcS"
device openwrt x86_64 "$x86" -
touch "$folder/openwrt/sbin/procd"
chmod 755 "$folder/openwrt/sbin/procd"
# shellcheck disable=SC2059
printf "$recorder" >"$folder/openwrt/etc/rc.common"
chmod 755 "$folder/openwrt/etc/rc.common"

./scripts/install.sh -n buildroot >/dev/null || fault "a dry run"
[ ! -e "$folder/buildroot/usr" ] || fault "a dry run wrote something"

mount -t proc proc "$folder/buildroot/proc"
mkdir -p "$folder/buildroot/var/run"
mkdir -p "$folder/buildroot/etc/default"
# Loopback alone is not needed for its port to be free.
printf 'PROGRAM=/usr/local/bin/aa436\nPORT=24377\nOPTIONS="-l /tmp/aa436.log"\n' >"$folder/buildroot/etc/default/aa436"
./scripts/install.sh buildroot || fault "buildroot"
is_installed buildroot usr/local/bin/aa436 aa436.sh etc/init.d/S90aa436 || fault "buildroot has not what it should"
id=$(cat "$folder/buildroot/var/run/aa436.pid")
[ "$(readlink "/proc/$id/exe")" = "$folder/buildroot/usr/local/bin/aa436" ] || fault "it was not started"

if ./scripts/install.sh buildroot </dev/null >/dev/null 2>&1; then fault "it replaced without an answer"; fi
if echo n | ./scripts/install.sh buildroot >/dev/null 2>&1; then fault "it replaced against the answer"; fi
[ "$(cat "$folder/buildroot/var/run/aa436.pid")" = "$id" ] || fault "it was restarted against the answer"
echo y | ./scripts/install.sh buildroot || fault "it did not replace"
again=$(cat "$folder/buildroot/var/run/aa436.pid")
[ "$again" != "$id" ] || fault "the replaced one was not started"
chroot "$folder/buildroot" /etc/init.d/S90aa436 stop || fault "stop"

./scripts/install.sh -y -p 4444 openwrt || fault "openwrt"
is_installed openwrt usr/bin/aa436 aa436.openwrt etc/init.d/aa436 || fault "openwrt has not what it should"
grep -q '^PORT=4444$' "$folder/openwrt/etc/default/aa436" || fault "the port is not set"
printf '%s\n' '/etc/rc.common /etc/init.d/aa436 enable' '/etc/rc.common /etc/init.d/aa436 restart' | cmp -s - "$folder/openwrt/started" ||
    fault "openwrt was not started: $(cat "$folder/openwrt/started")"

# A program that does not run on the device is not installed: this one is truncated on the way.
device liar x86_64 "$x86" -
touch "$folder/liar/etc/init.d/rcS"
echo 'cat() { head -c 1000; }' >>"$folder/liar/quirks"
if ./scripts/install.sh -y liar >/dev/null 2>&1; then fault "a program cut short was installed"; fi
[ -z "$(ls "$folder/liar/usr/local/bin")" ] || fault "remains of a program cut short"

# An ordinary user whose sudo wants a password, a server, a key; then an upgrade, and removal.
device user x86_64 "$x86" -
touch "$folder/user/etc/init.d/rcS"
echo 'id() { echo 1000; }' >>"$folder/user/quirks"
mkdir -p "$folder/user/usr/bin" "$folder/user/var/run" "$folder/site/hosts"
cat >"$folder/user/usr/bin/sudo" <<'END'
#!/bin/sh
[ "$1" != -n ] && read -r password && [ "$password" = 'se cret' ] || exit 1
while [ "${1#-}" != "$1" ]; do
    [ "$1" != -p ] || shift
    shift
done
echo "$*" >>/sudo-ran
exec "$@"
END
chmod 755 "$folder/user/usr/bin/sudo"
mount -t proc proc "$folder/user/proc"
ln -s "$PWD/${program%aa436}ax436" "$folder/bin/ax436"
printf '%s\n' 'event_stream: events.log' 'port: 24378' 'broadcast: 127.255.255.255' "hosts: $folder/site/hosts" "key_file: $folder/site/keys" >"$folder/site/ax436.conf"
(umask 077 && echo "* $(ax436 -g)" >"$folder/site/keys")
if echo 'wrong' | ./scripts/install.sh -p 24378 user >/dev/null 2>&1; then fault "a wrong password for sudo"; fi
echo 'se cret' | ./scripts/install.sh -p 24378 -s 127.0.0.1 -k "$folder/site/ax436.conf" user || fault "an ordinary user"
[ -s "$folder/user/sudo-ran" ] || fault "sudo was not used"
is_installed user usr/local/bin/aa436 aa436.sh etc/init.d/S90aa436 || fault "user has not what it should"
grep -qx 'OPTIONS="-s 127.0.0.1 -k /etc/aa436.key"' "$folder/user/etc/default/aa436" || fault "the options are: $(cat "$folder/user/etc/default/aa436")"
[ "$(stat -c %a "$folder/user/etc/aa436.key")" = 600 ] || fault "others can read the key"
ax436 -g "$(uname -n)" "$folder/site/ax436.conf" 2>/dev/null | cmp -s - "$folder/user/etc/aa436.key" || fault "it has another key"
tr '\0' ' ' <"/proc/$(cat "$folder/user/var/run/aa436.pid")/cmdline" | grep -q -- '-l syslog -s 127.0.0.1 -k /etc/aa436.key 24378 $' || fault "it was started otherwise"
sed -i 's/^OPTIONS=.*/OPTIONS="-n mine -x"/' "$folder/user/etc/default/aa436"
echo 'se cret' | ./scripts/install.sh -y user || fault "an upgrade"
tr '\0' ' ' <"/proc/$(cat "$folder/user/var/run/aa436.pid")/cmdline" | grep -q -- '-l syslog -n mine -x 24378 $' || fault "an upgrade lost options"
echo 'se cret' | ./scripts/install.sh -y --remove user || fault "removal"
left=$(cd "$folder/user" && find . -xdev -name '*aa436*')
[ -z "$left" ] || fault "removal left $left"

# A server that knows an older agent: its host alone is upgraded.
mkdir "$folder/stand-ins"
printf '%s\n' '#!/bin/sh' "echo '{\"hosts\":[{\"name\":\"a\",\"address\":\"10.0.0.1\",\"version\":\"0.0.9\"},{\"name\":\"b\",\"address\":\"10.0.0.2\",\"version\":\"99.0.0\"},{\"name\":\"c\"}]}'" \
    >"$folder/stand-ins/ax436"
chmod 755 "$folder/stand-ins/ax436"
device admin@10.0.0.1 x86_64 "$x86" -
said=$(PATH=$folder/stand-ins:$PATH ./scripts/install.sh -n -l admin --outdated ax436.conf 2>&1) || fault "--outdated: $said"
[ "$(echo "$said" | cut -d: -f1 | sort -u)" = admin@10.0.0.1 ] || fault "--outdated: $said"

if ./scripts/install.sh -n absent >/dev/null 2>&1; then fault "a device that is not there"; fi
echo "$faults faults"
[ "$faults" = 0 ]
