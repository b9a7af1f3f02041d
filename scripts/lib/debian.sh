# Sourced by checks that need a root of Debian 12.
# shellcheck shell=sh

# Makes one of Debian's packages in FOLDER/root, once. What debootstrap says is in FOLDER/log.
make_debian() { # make_debian FOLDER
    [ ! -e "$1/made" ] || return 0
    rm -rf "$1"
    mkdir -p "$1"
    servers=$(sed -n 's/^URIs: *\(.*\/debian\)$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
    # shellcheck disable=SC2086 # none, or one
    debootstrap --variant=minbase bookworm "$1/root" $servers >"$1/log" 2>&1 || return 1
    : >"$1/made"
}
