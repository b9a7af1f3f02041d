#!/bin/sh
# Checks scripts/install.sh on devices with other processors. Each device is a root that holds only Debian's static BusyBox for its processor,
# run by qemu. A stand-in for ssh enters it. So its shell, uname, dd, grep and the header of its /sbin/init are those of the other processor;
# only its /proc/cpuinfo is made up, since qemu has none. The check installs the program of dist/ there and runs it.
# Debian has no BusyBox for big-endian MIPS and PowerPC: install.sh makes up their headers.
#
# Needs Debian with qemu-user-static, and Linux 6.7 (or, before that, qemu's entries of the package binfmt-support); not root. The packages
# come once, from the servers that apt knows, into target/emulated/; the system's apt and dpkg are left alone.
# Status 77: the packages or the kernel's part are missing here.
set -eu
if [ "${1:-}" != --inside ]; then cd "$(dirname "$0")/../.."; fi
. scripts/lib/checking.sh
. scripts/lib/foreign.sh
work=$PWD/target/emulated

# A name; Debian's architecture; qemu's processor and its model; what uname -m says; /proc/cpuinfo; the target, or none.
devices() {
    sed 's/ *| */|/g' <<'END'
pi64       | arm64    | aarch64  | cortex-a53 | aarch64  | fp asimd evtstrm crc32 cpuid           | aarch64-unknown-linux-musl
pi4        | armhf    | arm      | cortex-a15 | armv7l   | half thumb fastmult vfp edsp neon      | armv7-unknown-linux-musleabihf
nas7       | armel    | arm      | cortex-a9  | armv7l   | swp half thumb fastmult vfp edsp vfpv3 | armv7-unknown-linux-musleabihf
nofpu      | armel    | arm      | cortex-a9  | armv7l   | swp half thumb fastmult edsp           | arm-unknown-linux-musleabi
pi1        | armel    | arm      | arm1176    | armv6l   | half thumb fastmult vfp edsp java tls  | arm-unknown-linux-musleabi
kirkwood   | armel    | arm      | arm926     | armv5tel | swp half thumb fastmult edsp           | armv5te-unknown-linux-musleabi
thinclient | i386     | i386     | pentium3   | i686     | fpu tsc cx8 cmov mmx sse               | i586-unknown-linux-musl
mediatek   | mipsel   | mipsel   | 24Kf       | mips     | mips16                                 | mipsel-unknown-linux-musl
octeon     | mips64el | mips64el | MIPS64R2-generic | mips64 | vz msa                                 | none
mainframe  | s390x    | s390x    | qemu       | s390x    | esan3 zarch stfle                      | none
visionfive | riscv64  | riscv64  | rv64       | riscv64  | rv64imafdc                             | riscv64gc-unknown-linux-musl
END
}

# Makes sure of target/emulated/busybox-ARCHITECTURE for all that this Debian has.
fetch() {
    all=$(devices | cut -d'|' -f2 | sort -u)
    rm -rf "$work"
    # shellcheck disable=SC2086 # a list
    make_apt "$work/apt" '' $all
    # A list that cannot be had, such as one of the updates, is not fatal: what counts is that the packages come.
    apt_of "$work/apt" get update || true
    known=" $(sed -n 's/^Architectures://p' "$work"/apt/lists/*InRelease | tr '\n' ' ') "
    here=$(for name in $all; do case $known in *" $name "*) echo "$name" ;; esac; done)
    # shellcheck disable=SC2046,SC2086
    (cd "$work" && apt_of "$work/apt" get download $(printf 'busybox-static:%s ' $here)) || return 1
    for name in $here; do
        dpkg-deb -x "$work"/busybox-static_*_"$name".deb "$work/unpacked" || return 1
        # Its place differs between Debian 12 and 13.
        mv "$(find "$work/unpacked" -type f -path '*/bin/busybox')" "$work/busybox-$name" || return 1
    done
    rm -rf "$work/unpacked" "$work/apt" "$work"/*.deb
    touch "$work/fetched"
}

if [ "${1:-}" != --inside ]; then
    need apt-get apt
    need qemu-arm-static qemu-user-static
    if [ ! -e "$work/fetched" ] && ! fetch; then
        skip "the packages busybox-static of other processors could not be fetched"
    fi
    if ! unshare --user --map-root-user --mount --net --pid --fork true; then
        skip "this system does not let namespaces of users be made"
    fi
    # In a namespace of users of its own, it may tell the kernel how to start the programs of other processors.
    exec unshare --user --map-root-user --mount --net --pid --fork --kill-child sh scripts/checks/install-emulated.sh --inside
fi

formats=/proc/sys/fs/binfmt_misc
faults=0
fault() {
    echo "FAULT $*"
    faults=$((faults + 1))
}

# Makes the kernel start programs of one processor by its emulator, and no others. The mask covers class, byte order and processor of a header.
emulate() { # emulate PROCESSOR PROGRAM
    [ ! -e $formats/aa436 ] || echo -1 >$formats/aa436
    header=$(od -An -v -tx1 -N20 "$2" | tr -d '\n' | sed 's/ /\\x/g')
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff'
    printf '%s\n' ":aa436:M::$header:$mask:$(command -v "qemu-$1-static"):FP" >$formats/register
}

make_device() { # make_device NAME ARCHITECTURE MODEL FEATURES
    root=$work/devices/$1
    mkdir -p "$root/bin" "$root/sbin" "$root/proc" "$root/dev" "$root/tmp"
    cp "$work/busybox-$2" "$root/bin/busybox"
    ln -s /bin/busybox "$root/sbin/init"
    : >"$root/dev/null"
    mount --bind /dev/null "$root/dev/null"
    printf 'Features\t: %s\n' "$4" >"$root/proc/cpuinfo"
    echo "$3" >"$root/model"
}

make_ssh() {
    mkdir "$work/devices/bin"
    cat >"$work/devices/bin/ssh" <<END
#!/bin/sh
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin QEMU_CPU="\$(cat "$work/devices/\$1/model")" \
    chroot "$work/devices/\$1" /bin/busybox sh -c "\$2"
END
    chmod 755 "$work/devices/bin/ssh"
    PATH=$work/devices/bin:$PATH
}

# Compares what install.sh prints about a device, and what it installs, with what is expected.
check() { # check NAME MACHINE TARGET
    machine=$(ssh "$1" 'uname -m') || machine="nothing, since they cannot be started"
    [ "$machine" = "$2" ] || { fault "$1: its programs say $machine, not $2"; return; }
    said=$(./scripts/install.sh -n "$1" 2>&1) || true
    case $said in
    *"dist/$3/aa436 to "*) ;;
    *"there is no program for it"*) if [ "$3" != none ]; then fault "$1: $said"; return; fi ;;
    *) fault "$1: not $3: $said"; return ;;
    esac
    if [ ! -f "dist/$3/aa436" ]; then
        echo "ok $1, $2: $3"
    elif said=$(./scripts/install.sh "$1" 2>&1) && cmp -s "dist/$3/aa436" "$work/devices/$1/usr/local/bin/aa436"; then
        echo "ok $1, $2: $3, installed: $(ssh "$1" '/usr/local/bin/aa436 -V')"
    else
        fault "$1: $said"
    fi
}

rm -rf "$work/devices"
mkdir -p "$work/devices"
if ! mount -t binfmt_misc binfmt_misc $formats 2>/dev/null; then
    echo "There is no binfmt_misc for namespaces here: what the system has counts."
    emulate() { :; }
    first=$(find "$work" -name 'busybox-s390x' -o -name 'busybox-arm64' | head -n 1)
    if ! "$first" true 2>/dev/null; then
        skip "this system starts no programs of other processors"
    fi
fi
make_ssh
while IFS='|' read -r name architecture processor model machine features target; do
    if [ ! -e "$work/busybox-$architecture" ]; then
        echo "-- $name: this Debian has no busybox-static for $architecture"
        continue
    fi
    emulate "$processor" "$work/busybox-$architecture"
    make_device "$name" "$architecture" "$model" "$features"
    check "$name" "$machine" "$target"
done <<EOF_DEVICES
$(devices)
EOF_DEVICES
echo "$faults faults"
[ "$faults" = 0 ]
