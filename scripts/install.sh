#!/bin/sh
# Installs the agent on devices over ssh: chooses the file for the processor, copies it, installs the script for the init system, starts it.
#   scripts/install.sh [-n] [-y] [-p PORT] [-d FOLDER] HOST...
# -n only prints what it would do; -y replaces existing files without asking; -p is the port of the agents (4360); -d is the folder on the
# device for the program. HOST is a destination of ssh, such as root@router. The device needs ssh and a shell, but neither scp nor sftp.
# In commands for the device, the quotes decide whether this shell or that of the device expands a $.
# shellcheck disable=SC2016,SC2029
set -eu
cd "$(dirname "$0")/.."

usage() { sed -n '2,5s/^# \{0,1\}//p' scripts/install.sh; }

dry='' yes='' port=4360 wanted=''
while getopts nyp:d:h option; do
    case $option in
    n) dry=yes ;;
    y) yes=yes ;;
    p) port=$OPTARG ;;
    d) wanted=$OPTARG ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
case $port in '' | *[!0-9]*) echo "install.sh: -p is a number" >&2; exit 2 ;; esac
case $wanted in *[!A-Za-z0-9/._-]*) echo "install.sh: -d is a plain path" >&2; exit 2 ;; esac
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
    ssh "$host" "mkdir -p \"\$(dirname $2)\" && cat >$2.new && chmod $3 $2.new" <"$1" || return 1
    on_device "[ \$(wc -c <$2.new) -eq $((size)) ] && $4 && mv $2.new $2 || { rm -f $2.new; exit 1; }"
}

install_on() {
    probe || { complain "it cannot be reached, or its system cannot be determined"; return 1; }
    choose || { complain "there is no program for it: $system, $machine, class $class, order $order, processor $processor of elf.h"; return 1; }
    places || return 1
    echo "$host: $machine, $init: dist/$target/aa436 to $program${script:+, $script to $place}"
    [ -f "dist/$target/aa436" ] || { complain "dist/$target/aa436 is missing: scripts/build-all.sh $target"; return 1; }
    there=$(on_device "for f in $program $place; do [ ! -e \$f ] || printf '%s ' \$f; done") || return 1
    if [ -n "$dry" ]; then
        [ -z "$there" ] || echo "$host: would replace $there"
        return
    fi
    [ -z "$there" ] || agreed "Replace $there?" || { complain "left as it is"; return 1; }
    copy "dist/$target/aa436" "$program" 755 "$program.new -V" || { complain "the program could not be copied, or does not run there"; return 1; }
    if [ -z "$script" ]; then
        complain "it has no init system that is known here; start it with: $program -d -l syslog $port"
        return
    fi
    copy "$script" "$place" "$([ "$init" = systemd ] && echo 644 || echo 755)" true || { complain "$place could not be written"; return 1; }
    on_device "mkdir -p /etc/default; [ -e /etc/default/aa436 ] || printf '%s\\n' PROGRAM=$program PORT=$port >/etc/default/aa436"
    on_device "$start" || { complain "it could not be started"; return 1; }
    echo "$host: started"
}

failed=0
for host in "$@"; do
    install_on || failed=1
done
exit "$failed"
