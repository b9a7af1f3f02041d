#!/bin/sh
# Runs the static programs under kernels of their own: machines that QEMU emulates as a whole, with Debian's kernels and BusyBox as the only
# other files. The agent of each has a session with a server of this machine by real broadcasts, through rotations, power cuts and an outage,
# without and with keys. Prints the agent's figures as Markdown; what was shown goes to standard error.
#   scripts/checks/kernels.sh [TARGET...]      by default all below that are in dist/
#
# Needs root, and on Debian qemu-system-arm, -mips, -misc and -x86, e2fsprogs, kmod, cpio, xz-utils and python3. Debian's packages come once, from
# the servers that apt knows, into target/kernels/. Status 77: they could not be fetched.
set -eu
if [ "${1:-}" != --inside ]; then cd "$(dirname "$0")/../.."; fi
. scripts/lib/checking.sh
. scripts/lib/foreign.sh
work=$PWD/target/kernels

# A target; Debian's suite, architecture and kernel; QEMU's machine; how its disk and network are attached.
machines() {
    sed 's/ *| */|/g' <<'END'
mipsel-unknown-linux-musl      | bookworm | mipsel  | 4kc-malta | mipsel -M malta -cpu 24Kf -m 64        | ide
armv7-unknown-linux-musleabihf | bookworm | armhf   | armmp     | arm -M virt -cpu cortex-a7 -m 128      | virtio
arm-unknown-linux-musleabi     | bookworm | armel   | rpi       | arm -M raspi0                          | pi
aarch64-unknown-linux-musl     | bookworm | arm64   | arm64     | aarch64 -M virt -cpu cortex-a53 -m 256 | virtio
i586-unknown-linux-musl        | bullseye | i386    | 686       | i386 -M pc -cpu pentium3 -m 128        | ide
riscv64gc-unknown-linux-musl   | trixie   | riscv64 | riscv64   | riscv64 -M virt -m 256                 | virtio
END
}

# Unpacks a kernel and BusyBox into $root.
fetch() { # fetch SUITE ARCHITECTURE KERNEL
    [ ! -e "$root/fetched" ] || return 0
    rm -rf "$root"
    mkdir -p "$root/debs"
    make_apt "$root/apt" "$1" "$2" && apt_of "$root/apt" get update >&2 || return 1
    kernel=$(apt_of "$root/apt" cache depends "linux-image-$3" | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ "$kernel" ] || return 1
    (cd "$root/debs" && apt_of "$root/apt" get download "$kernel" busybox-static >&2) || return 1
    for package in "$root"/debs/*.deb; do dpkg-deb -x "$package" "$root" || return 1; done
    rm -rf "$root/apt" "$root/debs"
    [ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
    touch "$root/fetched"
}

modules() {
    case $1 in
    ide) echo ata_piix sd_mod pcnet32 ext4 ;;
    virtio) echo virtio_pci virtio_mmio virtio_blk virtio_net ext4 ;;
    pi) echo sdhci-iproc mmc_block dwc2 cdc_ether ext4 ;;
    esac
}

# The root in memory: BusyBox, the programs, modules in the order in which they are loaded.
make_root() { # make_root TARGET BUS
    version=$(basename "$root"/lib/modules/*)
    depmod -b "$root" "$version"
    made=$folder/root
    mkdir -p "$made/bin" "$made/modules" "$made/proc" "$made/sys" "$made/dev" "$made/tmp" "$made/var/log"
    for module in $(modules "$2"); do
        modprobe -d "$root" -S "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++' >"$folder/modules"
    while read -r file; do
        name=$(basename "$file" .xz)
        case $file in *.xz) xz -dc "$file" >"$made/modules/$name" ;; *) cp "$file" "$made/modules/$name" ;; esac
        echo "$name"
    done <"$folder/modules" >"$made/modules/order"
    cp "$(find "$root/bin" "$root/usr/bin" -name busybox 2>/dev/null | head -n 1)" "dist/$1/aa436" "dist/$1/ax436" "$made/bin/"
    cp scripts/checks/kernels.init "$made/init"
    chmod 755 "$made/init"
    (cd "$made" && find . | cpio --create --format newc --quiet --owner 0:0 | gzip -1) >"$folder/root.cpio.gz"
    rm -rf "$made"
}

attached() { # attached BUS
    network='-netdev tap,id=net,ifname=tap0,script=no,downscript=no'
    drive="-drive file=$folder/disk,format=raw,cache=writeback"
    case $1 in
    ide) echo "$network -device pcnet,netdev=net,romfile= $drive,if=ide" ;;
    virtio) echo "$network -device virtio-net-device,netdev=net $drive,if=none,id=disk -device virtio-blk-device,drive=disk" ;;
    pi) echo "$network -device usb-net,netdev=net $drive,if=sd -dtb $(find "$root/usr/lib" -name bcm2835-rpi-zero.dtb)" ;;
    esac
}

console() {
    case $1 in mipsel | i386 | x86_64 | riscv64) echo ttyS0 ;; *) echo ttyAMA0 ;; esac
}

run() { # run TARGET QEMU BUS
    case $3 in ide) disk=sda ;; virtio) disk=vda ;; pi) disk=mmcblk0 ;; esac
    tty=$(console "${2%% *}")
    make_root "$1" "$3"
    truncate -s 64M "$folder/disk"
    mkfs.ext4 -q "$folder/disk"
    # One instruction takes 8 ns of the machine's clock, whatever this machine does. It begins in 1970.
    # shellcheck disable=SC2046,SC2086 # lists
    python3 scripts/checks/kernels.py --folder "$folder" --host "${1%%-*}" --programs "$PWD/dist/x86_64-unknown-linux-musl" \
        $(case $1 in aarch64-*) echo --inside ;; esac) --append "console=$tty panic=1 quiet guest_name=${1%%-*} guest_disk=$disk guest_tty=$tty" -- \
        qemu-system-$2 -accel tcg -icount shift=3 -nographic -monitor none -chardev stdio,id=console,signal=off -serial chardev:console \
        -no-reboot -rtc base=1970-01-01T00:00:00,clock=vm -kernel $(find "$root/boot" -name 'vmlinu*') -initrd "$folder/root.cpio.gz" $(attached "$3")
}

# The machines of the targets that are wanted.
wanted() { # wanted TARGET...
    machines | while IFS='|' read -r target rest; do
        case " $* " in *" $target "*) echo "$target|$rest" ;; esac
    done
}

# Fetches what the machines need, and starts this script anew in namespaces of its own with those that have it.
prepare() { # prepare TARGET...
    # shellcheck disable=SC2046 # a list
    [ $# -gt 0 ] || set -- $(machines | while IFS='|' read -r target _; do [ ! -d "dist/$target" ] || echo "$target"; done)
    [ "$(wanted "$@" | wc -l)" = $# ] || { echo "kernels.sh: not all of these have a machine: $*" >&2; exit 1; }
    for command in mkfs.ext4:e2fsprogs depmod:kmod cpio:cpio xz:xz-utils python3:python3 unshare:util-linux ip:iproute2; do
        need "${command%:*}" "${command#*:}"
    done
    fetched=$(wanted "$@" | while IFS='|' read -r target suite architecture kernel qemu _; do
        need "qemu-system-${qemu%% *}" "$(package "${qemu%% *}")"
        root=$work/$suite-$architecture
        if fetch "$suite" "$architecture" "$kernel" </dev/null; then
            echo "$target"
        else
            (skip "the packages for $architecture could not be fetched") >&2 || true
        fi
    done)
    [ "$fetched" ] || exit 77
    # shellcheck disable=SC2086 # a list
    exec unshare --net --pid --mount-proc --fork --kill-child sh scripts/checks/kernels.sh --inside $fetched
}

package() {
    case $1 in
    arm | aarch64) echo qemu-system-arm ;;
    i386 | x86_64) echo qemu-system-x86 ;;
    mips*) echo qemu-system-mips ;;
    *) echo qemu-system-misc ;;
    esac
}

# Starts the machines one after the other, on a network of one cable.
sessions() { # sessions TARGET...
    ip link set lo up
    ip tuntap add tap0 mode tap
    ip address add 10.43.6.1/24 broadcast 10.43.6.255 dev tap0
    ip link set tap0 up
    wanted "$@" | while IFS='|' read -r target suite architecture _ qemu bus; do
        root=$work/$suite-$architecture
        folder=$work/$target
        rm -rf "$folder"
        mkdir -p "$folder"
        say "$target: $qemu"
        run "$target" "$qemu" "$bus" </dev/null
    done
}

say() { echo "== $*" >&2; }

if [ "${1:-}" != --inside ]; then prepare "$@"; fi
shift
sessions "$@"
python3 scripts/checks/kernels.py --folder "$work" --table "$@"
