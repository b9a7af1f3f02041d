#!/bin/sh
# Installs the agent on devices over ssh: chooses the file for the processor, copies it, installs the script for the init system, starts it.
#   scripts/install.sh [-n] [-y] [-p PORT] [-d FOLDER] [-s SERVER] [-k CONF] HOST...
#   scripts/install.sh [-n] [-y] [-l USER] --outdated CONF      upgrades the agents that are older than the files in dist/
#   scripts/install.sh [-n] [-y] --remove HOST...               takes the agent away, with its options and its key
# -n only prints what it would do; -y replaces existing files without asking; -p is the port of the agents (4360); -d is the folder on the
# device for the program; -s is the server, where its broadcasts do not arrive; -k gives each device the key that `ax436 -g` derives for its
# name from the key file of the server file CONF. HOST is a destination of ssh, such as root@router or pi@pi; -l is the user for --outdated
# (root). A user who is not root needs sudo or doas there; a password for sudo is asked for here. The device needs ssh and a shell, but neither
# scp nor sftp. The options of an agent that is there already stay, in /etc/default/aa436.
# In commands for the device, the quotes decide whether this shell or that of the device expands a $.
# shellcheck disable=SC2016,SC2029
set -eu
cd "$(dirname "$0")/.."

usage() { sed -n '2,11s/^# \{0,1\}//p' scripts/install.sh; }

# Long names, as getopts has short ones only.
for argument in "$@"; do
    shift
    case $argument in
    --outdated) argument=-o ;;
    --remove) argument=-r ;;
    --help) argument=-h ;;
    esac
    set -- "$@" "$argument"
done
dry='' yes='' port=4360 wanted='' server='' keys='' outdated='' remove='' user=root
while getopts nyrp:d:s:k:o:l:h option; do
    case $option in
    n) dry=yes ;;
    y) yes=yes ;;
    r) remove=yes ;;
    p) port=$OPTARG ;;
    d) wanted=$OPTARG ;;
    s) server=$OPTARG ;;
    k) keys=$OPTARG ;;
    o) outdated=$OPTARG ;;
    l) user=$OPTARG ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
case $port in '' | *[!0-9]*) echo "install.sh: -p is a number" >&2; exit 2 ;; esac
case $wanted in *[!A-Za-z0-9/._-]*) echo "install.sh: -d is a plain path" >&2; exit 2 ;; esac
case $server in *[!A-Za-z0-9.:_-]*) echo "install.sh: -s is a name or an address" >&2; exit 2 ;; esac

# The addresses of the hosts whose agents are older than this version, as the running server knows them.
outdated_hosts() {
    ax436 status --json "$outdated" | python3 -c '
import json, sys
number = lambda version: [int(part) for part in version.split("-")[0].split(".")]
for host in json.load(sys.stdin)["hosts"]:
    if host.get("version") and host.get("address") and number(host["version"]) < number(sys.argv[1]):
        print(host["address"].split(":")[0])
' "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)"
}
if [ -n "$outdated" ]; then
    [ $# = 0 ] || { echo "install.sh: --outdated names the hosts itself" >&2; exit 2; }
    found=$(outdated_hosts) || { echo "install.sh: the server of $outdated could not be asked" >&2; exit 1; }
    for address in $found; do set -- "$@" "$user@$address"; done
    if [ $# = 0 ]; then echo "No agent is older."; exit 0; fi
fi
if [ $# = 0 ]; then usage >&2; exit 2; fi

complain() { echo "$host: $*" >&2; }

# Asks a question at the terminal. Succeeds if the answer is yes.
agreed() {
    [ -z "$yes" ] || return 0
    printf '%s: %s [y/N] ' "$host" "$1"
    read -r answer || answer=''
    case $answer in [yY]*) ;; *) return 1 ;; esac
}

on_device() { ssh "$host" "$1" </dev/null; }

# A text as one word of a shell.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# Runs a command with the rights of root there; it has this shell's standard input.
as_root() {
    case $become in
    root) ssh "$host" "$1" ;;
    password) { printf '%s\n' "$password"; cat; } | ssh "$host" "sudo -k -S -p '' sh -c $(quoted "$1")" ;;
    *) ssh "$host" "$become -n sh -c $(quoted "$1")" ;;
    esac
}

# Finds out how to get the rights of root.
find_root() {
    become=$(on_device 'if [ "$(id -u)" = 0 ]; then echo root; elif sudo -n true 2>/dev/null; then echo sudo
        elif doas -n true 2>/dev/null; then echo doas; elif command -v sudo >/dev/null; then echo password; else echo none; fi') || return 1
    case $become in
    root | sudo | doas) ;;
    password)
        [ -z "$dry" ] || return 0
        printf '%s: password for sudo: ' "$host"
        stty -echo 2>/dev/null || true
        read -r password || password=''
        stty echo 2>/dev/null || true
        echo
        as_root true </dev/null || { complain "sudo did not take the password"; return 1; }
        ;;
    *) complain "this user has neither the rights of root nor sudo or doas"; return 1 ;;
    esac
}

# Reads what system the device is, and the header of a program that runs there, as numbers.
probe() {
    about=$(on_device 'uname -s; uname -m; if [ -x /sbin/procd ]; then echo openwrt; elif [ -d /run/systemd/system ]; then echo systemd
        elif [ -e /etc/init.d/rcS ]; then echo busybox; elif [ -d /etc/init.d ]; then echo sysv; else echo none; fi
        grep -qiE "^features.*vfp" /proc/cpuinfo && echo vfp || echo soft') || return 1
    # shellcheck disable=SC2086
    set -- $about
    system=$1 machine=$2 init=$3 float=$4
    # shellcheck disable=SC2046
    set -- $(on_device 'for f in /sbin/init /bin/busybox /bin/sh; do [ -r $f ] && exec dd if=$f bs=52 count=1 2>/dev/null; done' | od -An -v -tu1)
    if [ $# -lt 52 ] || [ "$1 $2 $3 $4" != '127 69 76 70' ]; then return 1; fi
    class=$5 order=$6
    shift 18
    if [ "$order" = 1 ]; then processor=$(($1 + $2 * 256)); else processor=$(($1 * 256 + $2)); fi
    shift 18
    if [ "$order" = 1 ]; then flags=$4; else flags=$1; fi
}

# By the program rather than by uname: the system may have fewer bits than its kernel, and "mips" does not tell the order of bytes.
choose() {
    target=''
    # The numbers of processors are those of elf.h. The upper four bits of the flags of MIPS are its revision: the sixth differs.
    case $class/$order/$processor in
    2/1/62) target=x86_64-unknown-linux-musl ;;
    2/1/183) target=aarch64-unknown-linux-musl ;;
    2/1/243) target=riscv64gc-unknown-linux-musl ;;
    1/1/3) target=i586-unknown-linux-musl ;;
    1/2/20) target=powerpc-unknown-linux-musl ;;
    1/2/8) [ $((flags / 16)) -ge 9 ] || target=mips-unknown-linux-musl ;;
    1/1/8) [ $((flags / 16)) -ge 9 ] || target=mipsel-unknown-linux-musl ;;
    1/1/40)
        case $machine/$float in
        armv[78]*/vfp | aarch64/*) target=armv7-unknown-linux-musleabihf ;;
        armv[678]*) target=arm-unknown-linux-musleabi ;;
        armv5*) target=armv5te-unknown-linux-musleabi ;;
        esac
        ;;
    esac
    [ "$system" = Linux ] && [ -n "$target" ]
}

# Where the files go, and how the agent is started.
places() {
    folder=/usr/local/bin
    case $init in
    openwrt) folder=/usr/bin script=scripts/init/aa436.openwrt place=/etc/init.d/aa436 start='/etc/init.d/aa436 enable; /etc/init.d/aa436 restart' ;;
    systemd) script=scripts/init/aa436.service place=/etc/systemd/system/aa436.service start='systemctl daemon-reload; systemctl enable aa436; systemctl restart aa436' ;;
    busybox) script=scripts/init/aa436.sh place=/etc/init.d/S90aa436 start='/etc/init.d/S90aa436 restart || /etc/init.d/S90aa436 start' ;;
    sysv) script=scripts/init/aa436.sh place=/etc/init.d/aa436 start='update-rc.d aa436 defaults 2>/dev/null || chkconfig --add aa436 2>/dev/null; /etc/init.d/aa436 restart' ;;
    none) script='' place='' start='' ;;
    esac
    program=${wanted:-$folder}/aa436
    # The unit holds the path of the program.
    [ "$init" != systemd ] || [ -z "$wanted" ] || { complain "-d is not for systemd"; return 1; }
}

# Copies a file beside its place, and moves it there when it is complete and passes the test.
copy() { # copy FILE PLACE MODE TEST
    size=$(wc -c <"$1")
    as_root "mkdir -p \"\$(dirname $2)\" && umask 077 && cat >$2.new && chmod $3 $2.new" <"$1" || return 1
    as_root "[ \$(wc -c <$2.new) -eq $((size)) ] && $4 && mv $2.new $2 || { rm -f $2.new; exit 1; }" </dev/null
}

# The options of the agent there: those that it has stay, and what this command asks for is added unless the option is there already.
write_options() {
    as_root "mkdir -p /etc/default; [ -e /etc/default/aa436 ] || printf '%s\\n' PROGRAM=$program PORT=$port >/etc/default/aa436" </dev/null || return 1
    options=$(as_root 'OPTIONS=; . /etc/default/aa436; printf "%s" "$OPTIONS"' </dev/null) || return 1
    before=$options
    if [ -n "$server" ]; then case " $options" in *' -s'*) complain "it keeps the server that its options name" ;; *) options="$options -s $server" ;; esac; fi
    if [ -n "$keys" ]; then case " $options" in *' -k'*) ;; *) options="$options -k /etc/aa436.key" ;; esac; fi
    [ "$options" = "$before" ] || as_root "f=/etc/default/aa436; { grep -v '^OPTIONS=' \$f; echo 'OPTIONS=\"${options# }\"'; } >\$f.new; mv \$f.new \$f" </dev/null
}

# The key of the device, which only root can read.
place_key() {
    name=$(as_root 'OPTIONS=; [ ! -r /etc/default/aa436 ] || . /etc/default/aa436; set -- $OPTIONS; name=$(uname -n)
        while [ $# -gt 0 ]; do [ "$1" != -n ] || name=$2; shift; done; echo "$name"' </dev/null) || return 1
    (umask 077 && ax436 -g "$name" "$keys" >"$folder_of_keys/key") || { complain "there is no key for $name in $keys"; return 1; }
    copy "$folder_of_keys/key" /etc/aa436.key 600 true
}

remove_from() {
    stop='' gone="$program /etc/default/aa436 /etc/aa436.key"
    case $init in
    openwrt) stop="$place stop; $place disable" ;;
    systemd) stop='systemctl disable --now aa436' ;;
    busybox) stop="$place stop" ;;
    sysv) stop="$place stop; update-rc.d -f aa436 remove || chkconfig --del aa436" ;;
    esac
    [ -z "$place" ] || gone="$gone $place"
    echo "$host: takes away $gone"
    [ -z "$dry" ] || return 0
    agreed "Remove the agent?" || { complain "left as it is"; return 1; }
    as_root "{ $stop; } >/dev/null 2>&1; rm -f $gone; [ ! -d /run/systemd/system ] || systemctl daemon-reload" </dev/null || { complain "it could not be removed"; return 1; }
    echo "$host: removed"
}

install_on() {
    probe || { complain "it cannot be reached, or its system cannot be determined"; return 1; }
    choose || { complain "there is no program for it: $system, $machine, class $class, order $order, processor $processor of elf.h"; return 1; }
    places || return 1
    find_root || return 1
    if [ -n "$remove" ]; then
        remove_from
        return
    fi
    echo "$host: $machine, $init: dist/$target/aa436 to $program${script:+, $script to $place}"
    [ -f "dist/$target/aa436" ] || { complain "dist/$target/aa436 is missing: scripts/build-all.sh $target"; return 1; }
    there=$(on_device "for f in $program $place; do [ ! -e \$f ] || printf '%s ' \$f; done") || return 1
    if [ -n "$dry" ]; then
        [ -z "$there" ] || echo "$host: would replace $there"
        return
    fi
    [ -z "$there" ] || agreed "Replace $there?" || { complain "left as it is"; return 1; }
    copy "dist/$target/aa436" "$program" 755 "$program.new -V" || { complain "the program could not be copied, or does not run there"; return 1; }
    [ -z "$keys" ] || place_key || { complain "its key could not be placed"; return 1; }
    if [ -z "$script" ]; then
        complain "it has no init system that is known here; start it with: $program -d -l syslog ${server:+-s $server }${keys:+-k /etc/aa436.key }$port"
        return
    fi
    copy "$script" "$place" "$([ "$init" = systemd ] && echo 644 || echo 755)" true || { complain "$place could not be written"; return 1; }
    write_options || { complain "/etc/default/aa436 could not be written"; return 1; }
    as_root "$start" </dev/null || { complain "it could not be started"; return 1; }
    echo "$host: started"
}

folder_of_keys=$(mktemp -d)
trap 'rm -rf "$folder_of_keys"; stty echo 2>/dev/null || true' EXIT
failed=0
for host in "$@"; do
    install_on || failed=1
done
exit "$failed"
