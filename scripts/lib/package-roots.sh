# Sourced by the checks of packages: makes the packages, and the roots that they are installed in, once, in the folder of cargo.
# shellcheck shell=sh

made=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)

# Packages as they were, of version 0.0.1: with other defaults in their configuration files, and programs that have a word more at their end.
make_older_packages() { # make_older_packages FOLDER TARGET
    mkdir "$1/tree"
    cp -r scripts examples docs CHANGELOG.md README.md LICENSE Cargo.toml "$1/tree/"
    mkdir "$1/tree/dist"
    cp -r dist/NOTICES dist/sbom.cdx.json "dist/$2" "$1/tree/dist/"
    for program in aa436 ax436; do echo older >>"$1/tree/dist/$2/$program"; done
    for file in aa436.default aa436.uci ax436.conf ax436.openwrt.conf; do sed -i '1a # An older default.' "$1/tree/scripts/packages/$file"; done
    CARGO_TARGET_DIR=$made PACKAGE_VERSION=0.0.1 "$1/tree/scripts/package.sh" -o "$1/old" "$2"
    rm -r "$1/tree"
}

# A root of BusyBox.
make_busybox_root() { # make_busybox_root FOLDER
    for name in bin sbin usr/bin usr/sbin etc/init.d proc dev tmp run var/lib var/log var/run mnt root home; do mkdir -p "$1/$name"; done
    cp "$(command -v busybox)" "$1/bin/busybox"
    for applet in $(busybox --list); do
        case $applet in dpkg | dpkg-deb | rpm | rpm2cpio | init) ;; *) ln -s /bin/busybox "$1/bin/$applet" 2>/dev/null || true ;; esac
    done
    # Folders that hold files of others do not go with a package.
    for name in usr/bin etc/init.d etc/conf.d etc/config lib/upgrade/keep.d; do mkdir -p "$1/$name" && : >"$1/$name/of-others"; done
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' >"$1/etc/passwd"
    printf '%s\n' 'root:x:0:' 'nobody:x:65534:' >"$1/etc/group"
    printf '%s\n' 'root:*:0:0:99999:7:::' 'nobody:*:0:0:99999:7:::' >"$1/etc/shadow"
}

# Stand-ins for the programs for users that the BusyBox of Debian lacks, with the options that the package of Alpine uses.
write_user_tools() { # write_user_tools ROOT
    cat >"$1/usr/sbin/addgroup" <<'END'
#!/bin/sh
[ "$1" = -S ] && ! grep -q "^$2:" /etc/group || exit 1
echo "$2:x:101:" >>/etc/group
END
    cat >"$1/usr/sbin/adduser" <<'END'
#!/bin/sh
while getopts SDHh:s:G:g: option; do
    case $option in h) home=$OPTARG ;; s) shell=$OPTARG ;; G) group=$OPTARG ;; g) name=$OPTARG ;; [SDH]) ;; *) exit 1 ;; esac
done
shift $((OPTIND - 1))
! grep -q "^$1:" /etc/passwd && id=$(sed -n "s/^$group:x:\([0-9]*\):.*/\1/p" /etc/group) && [ "$id" ] || exit 1
echo "$1:x:100:$id:$name:$home:$shell" >>/etc/passwd
END
    # shellcheck disable=SC2016 # for that shell
    printf '%s\n' '#!/bin/sh' 'sed -i "/^$1:/d" /etc/passwd /etc/group' >"$1/usr/sbin/deluser"
    chmod 755 "$1/usr/sbin/addgroup" "$1/usr/sbin/adduser" "$1/usr/sbin/deluser"
}

# OpenRC of Debian and the libraries that it needs, over a root of BusyBox, at $base.
make_openrc_root() {
    base=$made/openrc-root/root
    [ ! -e "$made/openrc-root/made" ] || { cp scripts/lib/stand-ins/unpacker "$base/sbin/apk"; return; }
    rm -rf "$made/openrc-root"
    make_busybox_root "$base"
    make_apt "$made/openrc-root/apt" '' "$(dpkg --print-architecture)"
    mkdir "$made/openrc-root/debs"
    {
        apt_of "$made/openrc-root/apt" get update && (cd "$made/openrc-root/debs" &&
            apt_of "$made/openrc-root/apt" get download openrc librc1 libeinfo1 libpam0g libpam-modules libaudit1 libcap-ng0 libselinux1 libpcre2-8-0 libc6)
    } >"$made/openrc-root/log" 2>&1 || { tail -n 3 "$made/openrc-root/log" >&2; return 1; }
    for package in "$made/openrc-root/debs"/*.deb; do dpkg-deb --extract "$package" "$base"; done
    # Debian's also wants these, and Alpine's does not.
    mkdir -p "$base/etc/insserv.conf.d" "$base/etc/pam.d"
    : >"$base/etc/insserv.conf"
    printf '%s required pam_permit.so\n' auth account session >"$base/etc/pam.d/other"
    write_user_tools "$base"
    # OpenRC of Debian boots by these, and there is nothing to boot here but a network that is up already.
    rm -f "$base"/etc/init.d/* "$base"/etc/runlevels/*/*
    rm -rf "${base:?}/usr/share"
    printf '%s\n' '#!/sbin/openrc-run' 'depend() { provide net; }' 'start() { :; }' >"$base/etc/init.d/loopback"
    chmod 755 "$base/etc/init.d/loopback"
    ln -s /etc/init.d/loopback "$base/etc/runlevels/default/loopback"
    mkdir -p "$base/lib/apk/db"
    cp scripts/lib/stand-ins/unpacker "$base/sbin/apk"
    : >"$made/openrc-root/made"
}

# Stand-ins for what OpenWrt has, over a root of BusyBox, at $base.
make_openwrt_root() {
    base=$made/openwrt-root
    rm -rf "$base"
    make_busybox_root "$base"
    mkdir -p "$base/etc/rc.d" "$base/usr/lib/opkg/info"
    cp scripts/lib/stand-ins/unpacker "$base/bin/opkg"
    cp scripts/lib/stand-ins/rc.common "$base/etc/"
    cp scripts/lib/stand-ins/functions.sh "$base/lib/"
}
