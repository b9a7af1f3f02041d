# Sourced by checks that need a root of Debian 12.
# shellcheck shell=sh

# Makes one of Debian's packages in FOLDER/root, once. What debootstrap says is in FOLDER/log; its end is shown if it fails.
make_debian() { # make_debian FOLDER DEBOOTSTRAP-OPTION...
    [ ! -e "$1/made" ] || return 0
    debian=$1
    shift
    rm -rf "${debian:?}"
    mkdir -p "$debian"
    servers=$(sed -n 's/^URIs: *\(.*\/debian\)$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
    # shellcheck disable=SC2086 # none, or one
    if ! debootstrap --variant=minbase "$@" bookworm "$debian/root" $servers >"$debian/log" 2>&1 </dev/null; then
        tail -n 3 "$debian/log" >&2
        return 1
    fi
    : >"$debian/made"
}
