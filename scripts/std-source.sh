# Sourced by the other scripts: finds a Rust that comes with the source of its standard library, to compile it for other systems.
# shellcheck shell=sh

# Debian 12 has a current Rust under the names of the packages that its browsers are built with; later ones under the plain names.
source_packages="rustc-web cargo-web rust-web-src"
later_source_packages="rustc cargo rust-src"

# Sets source_bin to the folder of such a rustc and its cargo.
find_source() {
    for source_bin in "$(dirname "$(command -v rustc || echo /usr/bin/rustc)")" /usr/bin; do
        sysroot=$("$source_bin/rustc" --print sysroot 2>/dev/null) || continue
        if [ -x "$source_bin/cargo" ] && [ -f "$sysroot/lib/rustlib/src/rust/library/Cargo.lock" ]; then
            return 0
        fi
    done
    return 1
}

# Installs it from Debian's packages, as root.
install_source() {
    apt-get update -q
    apt-cache show rust-web-src >/dev/null 2>&1 || source_packages=$later_source_packages
    # shellcheck disable=SC2086 # a list of words
    apt-get install -q -y --no-install-recommends $source_packages
}

# Says how to have it.
name_source() {
    cat <<END
There is no Rust with the source of its standard library here. One of these brings it:
    apt-get install $source_packages    (Debian 12, as root; $0 --install does that)
    apt-get install $later_source_packages    (Debian 13, likewise)
    rustup component add rust-src    (elsewhere)
END
}
