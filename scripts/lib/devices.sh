# Sourced by the checks, after checking.sh: devices that are entered by ssh. Each is a root of Debian 12 in namespaces of its own, with an init
# system, an sshd, and an address on one network; the check is on that network, too. A device of nothing but BusyBox has no sshd: it is entered. What
# they write is dropped at the end.
# shellcheck shell=sh
. scripts/lib/debian.sh
devices=${CARGO_TARGET_DIR:-target}/devices

# The check starts itself anew in namespaces of its own, with --inside and two folders: one for this run, and that of the roots. It needs root.
run_inside() { # run_inside SCRIPT ARGUMENT...
    need debootstrap debootstrap
    need ip iproute2
    need ssh openssh-client
    need pivot_root util-linux
    script=$1
    shift
    if ! make_roots; then
        skip "no root of Debian 12 can be made here"
    fi
    folder=$(mktemp -d)
    mkdir "$folder/cgroups"
    # The groups of the devices with systemd. They end with their last process, for which the kernel may need a moment.
    groups=$(awk '$3 == "cgroup2" { print $2 }' /proc/mounts | tail -n 1)
    group=$groups/p436-check-$$
    if [ -z "$groups" ] || ! mkdir "$group"; then
        rm -rf "$folder"
        skip "this system lets no group be made in cgroup2"
    fi
    trap 'rm -rf "$folder"; within_a_minute "nothing is left" remove_group >/dev/null' EXIT
    status=0
    P436_GROUP=$group timeout -k 5 1500 unshare --net --pid --mount --fork --kill-child --mount-proc \
        sh "$script" --inside "$folder" "$(cd "$devices" && pwd)" "$@" || status=$?
    exit $status
}

remove_group() { find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; }

# Two roots: one with systemd, which the devices with System V init use without it, and one with OpenRC. They are made once.
make_roots() {
    # The version of this list of packages.
    made=$devices/made-1
    [ ! -e "$made" ] || return 0
    rm -rf "$devices"
    mkdir -p "$devices"
    packages=python3,openssh-server,sudo,opendoas,systemd,iproute2,busybox-static
    make_debian "$devices/debian" "--include=$packages" || return 1
    {
        mv "$devices/debian/root" "$devices/systemd" && cp -a "$devices/systemd" "$devices/openrc" &&
            chroot "$devices/openrc" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends openrc && apt-get clean'
    } >"$devices/log" 2>&1 </dev/null || { tail -n 3 "$devices/log" >&2; return 1; }
    : >"$made"
}

# The network of the devices, with the check at 192.168.1.1, and a key for ssh. The commands ssh and ansible find the devices by their names.
make_network() {
    ip link set lo up
    if ! ip link add site type bridge; then
        skip "this system lets no bridge be made"
    fi
    ip address add 192.168.1.1/24 brd + dev site
    ip link set site up
    ssh-keygen -q -t ed25519 -N '' -f "$folder/key"
    mkdir "$folder/bin"
    cat >"$folder/bin/ssh" <<END
#!/bin/sh
first="$folder/\${1#*@}.first"
if [ -s "\$first" ]; then
    shift
    exec nsenter --target "\$(cat "\$first")" --mount --pid --net --uts --ipc --root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "\$*"
fi
exec /usr/bin/ssh -F "$folder/ssh.conf" "\$@"
END
    chmod 755 "$folder/bin/ssh"
    PATH=$folder/bin:$PATH
    printf '%s\n' "IdentityFile $folder/key" 'IdentitiesOnly yes' 'UserKnownHostsFile /dev/null' 'StrictHostKeyChecking no' 'LogLevel ERROR' \
        'ConnectTimeout 10' >"$folder/ssh.conf"
}

# Starts a device, NAME at 192.168.1.NUMBER, with systemd, openrc, sysvinit or busybox. What it has on disk is in $folder/NAME. Its users are
# root; pi, who may do everything by sudo; admin, for whom sudo wants the password "se cret"; and dora, who may do everything by doas.
start_device() { # start_device NAME INIT NUMBER
    root=$folder/$1
    lay_out "$1" "$2"
    group=/nowhere
    [ "$2" != systemd ] || { mkdir "$P436_GROUP/$1" && group=$P436_GROUP/$1; }
    # shellcheck disable=SC2016 # for the shell that is started
    sh -c '[ ! -e "$1/cgroup.procs" ] || echo $$ >"$1/cgroup.procs"; shift; exec "$@"' - "$group" \
        unshare --cgroup --mount --pid --net --uts --ipc --fork --kill-child sh scripts/lib/devices.sh --boot "$root" "$1" "$2" >"$folder/$1.log" 2>&1 &
    device=$!
    within_a_minute "$1 has a network of its own" other_network $device >/dev/null
    ip link add "p436-$3" type veth peer name eth0 netns $device
    ip link set "p436-$3" master site up
    nsenter --net="/proc/$device/ns/net" sh -ec "ip link set lo up; ip address add 192.168.1.$3/24 brd + dev eth0; ip link set eth0 up"
    if [ "$2" = busybox ]; then
        within_a_minute "$1 has a first process" first_process "$1" $device >/dev/null
        within_a_minute "$1 is up, with $2" answers "$1" 'grep -qx init /proc/1/comm && pidof syslogd >/dev/null'
    else
        printf '%s\n' "Host $1" "HostName 192.168.1.$3" >>"$folder/ssh.conf"
        within_a_minute "$1 is up, with $2" answers "$1" true
    fi
}

other_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

answers() { echo "$2" | ssh "root@$1" sh -e 2>/dev/null; } # answers NAME COMMAND

first_process() { # first_process NAME PROCESS
    tr -d ' ' <"/proc/$2/task/$2/children" >"$folder/$1.first" && [ -s "$folder/$1.first" ]
}

# The files of a device.
lay_out() { # lay_out NAME INIT
    mkdir "$root" "$root.layers"
    if [ "$2" = busybox ]; then
        mount -t tmpfs -o mode=755 tmpfs "$root"
        (cd "$root" && mkdir -p bin sbin usr/bin usr/sbin etc/init.d dev proc sys run tmp root var/log && ln -s ../run var/run)
        # shellcheck disable=SC2154 # the second folder of run_inside
        cp "$roots/systemd/usr/bin/busybox" "$root/bin/busybox"
        chroot "$root" /bin/busybox --install -s
        echo '::sysinit:/etc/init.d/rcS' >"$root/etc/inittab"
        # shellcheck disable=SC2016 # for the shell of the device
        printf '%s\n' '#!/bin/sh' 'syslogd -O /var/log/messages' 'for script in /etc/init.d/S??*; do [ ! -x "$script" ] || "$script" start; done' >"$root/etc/init.d/rcS"
        chmod 755 "$root/etc/init.d/rcS"
    else
        base=$roots/$2
        [ "$2" != sysvinit ] || base=$roots/systemd
        mount -t tmpfs tmpfs "$root.layers"
        mkdir "$root.layers/upper" "$root.layers/work"
        mount -t overlay overlay -o "lowerdir=$base,upperdir=$root.layers/upper,workdir=$root.layers/work" "$root" || skip "this system lets no overlay be mounted"
        add_users
    fi
    echo "$1" >"$root/etc/hostname"
    echo "127.0.0.1 localhost $1" >"$root/etc/hosts"
}

add_users() {
    for user in pi admin dora; do chroot "$root" useradd -m -s /bin/sh "$user"; done
    echo 'admin:se cret' | chroot "$root" chpasswd
    printf '%s\n' 'pi ALL=(ALL) NOPASSWD: ALL' 'admin ALL=(ALL) ALL' >"$root/etc/sudoers.d/check"
    echo 'permit nopass dora' >"$root/etc/doas.conf"
    for home in /root /home/pi /home/admin /home/dora; do
        mkdir -p "$root$home/.ssh"
        cp "$folder/key.pub" "$root$home/.ssh/authorized_keys"
        chroot "$root" chown -R "$(stat -c %u:%g "$root$home")" "$home/.ssh"
    done
}

# In the namespaces of the device: mounts what a container has, and becomes its first process.
boot() { # boot ROOT NAME INIT
    hostname "$2"
    cd "$1"
    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t sysfs -o ro sysfs sys
    [ "$3" != systemd ] || mount -t cgroup2 cgroup2 sys/fs/cgroup
    for name in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs "$name"; done
    chmod 1777 tmp
    mkdir dev/pts dev/shm run/old run/sshd
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    for name in null zero full random urandom tty; do
        : >"dev/$name"
        mount --bind "/dev/$name" "dev/$name"
    done
    pivot_root . run/old
    umount -l run/old
    [ "$3" = systemd ] || [ "$3" = busybox ] || busybox syslogd -O /var/log/messages
    case $3 in
    busybox) set -- /sbin/init ;;
    systemd) set -- /lib/systemd/systemd --unit=multi-user.target --show-status=no ;;
    openrc) set -- /sbin/openrc-init ;;
    sysvinit) set -- /bin/sh -c '/etc/init.d/ssh start; while :; do sleep 60 & wait; done' ;;
    esac
    exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . "$@"
}

case ${1:-} in --boot) set -eu && shift && boot "$@" ;; esac
