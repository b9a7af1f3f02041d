# Sourced by the checks that run a systemd of their own, in namespaces, on an overlay that is dropped at the end.
# shellcheck shell=sh

# Lays an overlay with so much room over a base at $root, with /proc.
mount_overlay() { # mount_overlay BASE FOLDER SIZE
    root=$2/root
    mkdir -p "$2/layers" "$root"
    mount -t tmpfs -o "size=$3" tmpfs "$2/layers" || return
    mkdir "$2/layers/upper" "$2/layers/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/layers/upper,workdir=$2/layers/work" "$root" || return
    mount -t proc proc "$root/proc"
}

# Lays such an overlay, with the file systems that systemd wants. FOLDER is at /run/check in it.
mount_systemd_root() { # mount_systemd_root BASE FOLDER SIZE
    mount_overlay "$@" || return
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" || return
    for name in dev run tmp; do mount -t tmpfs tmpfs "$root/$name"; done
    mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue" "$root/run/check" "$root/run/units"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for name in null zero full random urandom tty kmsg; do
        : >"$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    mount --bind "$2" "$root/run/check"
    for name in sysinit basic shutdown local-fs network-online multi-user; do
        printf '%s\n' '[Unit]' DefaultDependencies=no >"$root/run/units/$name.target"
    done
    ip link set lo up
}

# The unit of the check itself: a shell carries out COMMAND, what it says is in FOLDER/said, and then the system ends: 48 is
# SIGRTMIN+14.
write_check_unit() { # write_check_unit COMMAND
    printf '%s\n' '[Service]' Type=oneshot StandardOutput=append:/run/check/said StandardError=inherit \
        "ExecStart=/bin/sh $1" 'ExecStopPost=/bin/sh -c "kill -48 1"' >"$root/run/units/check.service"
}

# Becomes the systemd of $root.
become_systemd() { # become_systemd FOLDERS-OF-UNITS
    mkdir "$root/run/old"
    cd "$root" || return
    pivot_root . run/old
    exec env -i container=aa436 PATH=/usr/sbin:/usr/bin:/sbin:/bin "SYSTEMD_UNIT_PATH=$1" \
        chroot . /lib/systemd/systemd --unit=check.target --log-target=null --show-status=no
}

# Makes a group for the check, which is the root of the groups that its systemd sees, at $group.
make_group() {
    groups=$(awk '$3 == "cgroup2" { print $2 }' /proc/mounts | tail -n 1)
    group=$groups/aa436-check-$$
    [ "$groups" ] && mkdir "$group" 2>/dev/null
}

# Runs a command in that group and in namespaces of its own, for so many seconds at most. Its exit status says nothing.
in_group() { # in_group SECONDS COMMAND...
    # shellcheck disable=SC2016 # for the shell that is started
    sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec timeout -k 5 "$@"' - "$group" "$1" \
        unshare --cgroup --mount --pid --net --uts --ipc --fork --kill-child sh -c 'shift; exec "$@"' - "$@" || true
}

# The processes of the group end with the first of them, for which the kernel may need a moment.
remove_group() { find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; }

# Lays such an overlay for a system that is not systemd.
mount_plain_root() { # mount_plain_root BASE FOLDER SIZE
    mount_overlay "$@" || return
    for name in dev run tmp; do mount -t tmpfs tmpfs "$root/$name"; done
    mkdir "$root/run/check"
    for name in null zero full random urandom tty; do
        : >"$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    ln -s /proc/self/fd "$root/dev/fd"
    mount --bind "$2" "$root/run/check"
    ip link set lo up
}
