# Stands for /lib/functions.sh of OpenWrt in the checks of packages: one section of each file in /etc/config, and what packages call.
# shellcheck shell=sh

config_load() { config=/etc/config/$1; }
config_foreach() { "$1" main; }
config_list_foreach() {
    sed -n "s/^[[:space:]]*list $2 '\(.*\)'/\1/p" "$config" >"/tmp/list.$$"
    while read -r entry; do "$3" "$entry"; done <"/tmp/list.$$"
    rm "/tmp/list.$$"
}
config_get() { # config_get VARIABLE SECTION OPTION DEFAULT
    # shellcheck disable=SC2034 # for eval
    found=$(sed -n "s/^[[:space:]]*option $3 '\(.*\)'/\1/p" "$config")
    eval "$1=\${found:-\${4:-}}"
}
config_get_bool() { config_get "$@"; }

info=/usr/lib/opkg/info
scripts() { sed -n '/^\/etc\/init\.d\//p' "$info/$1.list"; }

default_postinst() { # default_postinst SCRIPT
    name=$(basename "${1%.*}")
    pair=$(sed -n 's/^Require-User: *//p' "$info/$name.control")
    if [ "$pair" ] && ! grep -q "^${pair%:*}:" /etc/passwd; then
        echo "${pair#*:}:x:65536:${pair%:*}" >>/etc/group
        echo "${pair%:*}:x:65536:65536:${pair%:*}:/var/run/${pair%:*}:/bin/false" >>/etc/passwd
    fi
    for script in $(scripts "$name"); do
        [ "${PKG_UPGRADE:-}" = 1 ] || "$script" enable
        "$script" start
    done
}

default_prerm() { # default_prerm SCRIPT
    for script in $(scripts "$(basename "${1%.*}")"); do
        [ "${PKG_UPGRADE:-}" = 1 ] || "$script" disable
        "$script" stop
    done
}
