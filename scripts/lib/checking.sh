# Sourced by the checks, which run in the folder of the repository. `fail` prints the ends of the files in $logs; `events` searches $stream.
# shellcheck shell=sh

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 && return
    echo "${0##*/}: there is no $1. On Debian: apt-get install $2" >&2
    exit 1
}

# Ends a check that this system cannot carry out, with status 77. Writes the reason into the file that PROJECT436_SKIPS names.
skip() { # skip REASON
    echo "SKIP ${0##*/}: $*" | tee -a "${PROJECT436_SKIPS:-/dev/null}" >&2
    exit 77
}

fail() {
    echo "FAILED: $*" >&2
    # shellcheck disable=SC2154,SC2086 # a list
    tail -n 20 $logs >&2 || true
    exit 1
}

# Waits until a condition holds, for a minute at most.
within_a_minute() { # within_a_minute WHAT COMMAND...
    what=$1
    shift
    tries=600
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "not within a minute: $what"
        sleep 0.1
    done
    echo "ok: $what"
}

# Whether at least so many lines of the stream match.
events() { # events NUMBER PATTERN
    # shellcheck disable=SC2154
    [ "$(grep -c -- "$2" "$stream")" -ge "$1" ]
} 2>/dev/null
