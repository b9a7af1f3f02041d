#!/bin/sh
### BEGIN INIT INFO
# Provides:          aa436
# Required-Start:    $network $remote_fs $syslog
# Required-Stop:     $network $remote_fs $syslog
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Agent of Project 436
### END INIT INFO
# The agent under BusyBox (this file goes to /etc/init.d/S90aa436) and System V init (/etc/init.d/aa436).
# /etc/default/aa436 may set PROGRAM=/tmp/aa436, PORT=4360, OPTIONS="-n NAME" and PID_FILE. The log goes to syslog unless OPTIONS has a -l.
# BusyBox starts it again whenever it ends if this line stands in /etc/inittab instead: ::respawn:/usr/local/bin/aa436 -l syslog 4360
PROGRAM=/usr/local/bin/aa436
PORT=4360
OPTIONS=''
PID_FILE=/var/run/aa436.pid
# shellcheck disable=SC1091
if [ -r /etc/default/aa436 ]; then . /etc/default/aa436; fi
case " $OPTIONS" in *' -l'* | *' --log '* | *' --log='*) ;; *) OPTIONS="-l syslog $OPTIONS" ;; esac

# The process of the pid file, if it is still this program, though its file may have been replaced, or its folder be a link.
running() {
    id=$(cat "$PID_FILE" 2>/dev/null) && [ -n "$id" ] || return 1
    name=$(readlink -f "$PROGRAM") || name=$PROGRAM
    name=${name##*/}
    case $(readlink "/proc/$id/exe") in */"$name" | */"$name (deleted)") ;; *) return 1 ;; esac
}

stopped() { ! running; }

within() { # within SECONDS CONDITION
    left=$1
    until "$2"; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 1
    done
}

start() {
    if running; then
        echo "aa436 runs already"
        return
    fi
    echo "Starting aa436"
    # shellcheck disable=SC2086
    cd / && "$PROGRAM" -d -p "$PID_FILE" $OPTIONS "$PORT" && within 5 running
}

stop() {
    if stopped; then
        echo "aa436 does not run"
        return
    fi
    echo "Stopping aa436"
    kill "$id"
    within 10 stopped && return
    kill -9 "$id"
    within 2 stopped
}

case $1 in
start) start ;;
stop) stop ;;
restart) stop && start ;;
reload | force-reload) running && kill -HUP "$id" ;;
status)
    if running; then
        echo "aa436 runs, process $id"
    else
        echo "aa436 does not run"
        exit 3
    fi
    ;;
*)
    echo "Usage: $0 start|stop|restart|reload|force-reload|status" >&2
    exit 2
    ;;
esac
