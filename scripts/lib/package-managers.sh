# Sourced by package-cycle.sh, in the root of a check: what each package manager and init system is asked to do. Beside it in FOLDER are the
# folders old/ and new/ with packages.
# shellcheck shell=sh disable=SC2034,SC2154

# The same for most of them.
options=/etc/default/aa436 stream=/var/lib/436/events.log
set_options() { printf '%s\n' PORT=4360 'OPTIONS="-x -n box"' >"$options"; }
# What docs/install.md says to remove.
clear() { rm -rf /etc/436 "${stream%/*}" /var/lib/aa436 "$options" "$options"[.-]*; }
clear_user() { userdel ax436; }
# KiB in which an upgrade finds no room.
rooms='0 300'

case $format in
deb | rpm | archlinux)
    boot() { :; }
    service() { systemctl "$1" "$2"; }
    at_boot() { systemctl --quiet enable "$1"; }
    is_at_boot() { systemctl --quiet is-enabled "$1" 2>/dev/null; }
    restarts_itself=yes starts_itself=no
    ;;
esac

case $format in
deb)
    fresh=.dpkg-dist saved='' databases='./var/lib/dpkg ./var/lib/systemd ./var/cache' starts_itself=yes
    prepare() { :; }
    install() { dpkg -i "$@"; }
    upgrade() { dpkg --force-confold -i "$@"; }
    remove() { dpkg -r "$@"; }
    clear() { dpkg -P aa436 ax436; }
    clear_user() { ! grep '^ax436:' /etc/passwd; }
    pattern='*.deb'
    ;;
rpm)
    fresh=.rpmnew saved=.rpmsave databases='./var/lib/rpm ./usr/lib/sysimage'
    # Debian's programs stand for these packages of RPM.
    prepare() {
        mkdir -p /usr/share/licenses/others
        rpm --initdb && rpm -i "$folder"/base.rpm
    }
    install() { rpm -i "$@"; }
    upgrade() { rpm -U "$@"; }
    remove() { rpm -e "$@"; }
    pattern='*.rpm'
    ;;
archlinux)
    fresh=.pacnew saved=.pacsave databases='./var/lib/pacman ./etc/pacman.d'
    prepare() {
        mkdir -p /usr/share/licenses/others /var/lib/pacman /var/cache/pacman/pkg
        # As on Arch: nfpm writes scripts for bash.
        ln -sf bash /bin/sh
        printf '%s\n' '[options]' 'Architecture = auto' CheckSpace 'SigLevel = Never' >/etc/pacman.conf
    }
    install() { pacman --noconfirm --noprogressbar -U "$@"; }
    upgrade() { install "$@"; }
    remove() { pacman --noconfirm -R "$@"; }
    pattern='*.pkg.tar.zst'
    ;;
apk)
    options=/etc/conf.d/aa436
    fresh=.apk-new saved='' databases='./lib/apk ./etc/apk ./var/cache'
    prepare() { apk add --initdb --allow-untrusted --no-network; }
    boot() { mkdir -p /run/openrc && openrc default; }
    service() { rc-service "$2" "$1"; }
    at_boot() { rc-update --quiet add "$1" default; }
    is_at_boot() { [ -e "/etc/runlevels/default/$1" ]; }
    install() { apk add --allow-untrusted --no-network "$@"; }
    upgrade() { install "$@"; }
    remove() { apk del "$@"; }
    clear_user() { deluser ax436; }
    restarts_itself=yes starts_itself=no
    pattern='*.apk'
    ;;
ipk)
    options=/etc/config/aa436 stream=/mnt/sda1/436/events.log
    # opkg takes the old files away before it unpacks.
    rooms=0
    fresh=-opkg saved='' databases='./usr/lib/opkg ./var'
    set_options() { sed -i "s/^\(.*\)option port .*/\1option port '4360'\n\1option name 'box'/" "$options"; }
    prepare() { mkdir -p /var/lock /var/run; }
    boot() {
        [ -x /sbin/procd ] || return 0
        ubusd &
        within_a_minute "ubusd runs" ubus -t 1 list
        procd &
        within_a_minute "procd runs" ubus -t 1 wait_for service
    }
    service() { "/etc/init.d/$2" "$1"; }
    at_boot() { :; }
    is_at_boot() { ls /etc/rc.d/S[0-9][0-9]"$1" >/dev/null 2>&1; }
    install() { opkg install "$@"; }
    upgrade() { opkg install "$@"; }
    remove() { opkg remove "$@"; }
    clear_user() { sed -i '/^ax436:/d' /etc/passwd /etc/shadow /etc/group; }
    restarts_itself=yes starts_itself=yes
    pattern='*.ipk'
    ;;
esac
