# Sourced by .ci/run and .ci/full: runs steps, and says at the end what ran, how long each step took, and what was skipped and why.
# shellcheck shell=bash
ci=${0##*/}
folder=$(mktemp -d)
# Tests and checks write a line into this file for whatever they skip.
export PROJECT436_SKIPS=$folder/skips
: >"$PROJECT436_SKIPS"
ran=() running=''

# Runs a command. Ends everything if it fails, or skips what .ci/allowed-skips does not list.
step() { # step NAME COMMAND...
    local name=$1 began=$SECONDS status=0 skips
    shift
    skips=$(wc -l <"$PROJECT436_SKIPS")
    printf '\n=== %s: %s\n' "$name" "$*"
    running=$name
    "$@" || status=$?
    # The system cannot do what the check needs, and the check has written the reason into the file.
    if [ "$status" = 77 ] && [ "$(wc -l <"$PROJECT436_SKIPS")" -gt "$skips" ]; then name+=', skipped' status=0; fi
    ran+=("$(printf '%3d:%02d  %s' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)) "$name")")
    [ "$status" = 0 ] || exit "$status"
    if grep -vxFf .ci/allowed-skips "$PROJECT436_SKIPS"; then
        echo "What is named above was skipped, and .ci/allowed-skips does not list it." >&2
        exit 1
    fi
    running=''
}

always() { step "$@"; }
every_time() { [ "$ci" != run ] || step "$@"; }
for_release() { [ "$ci" != full ] || step "$@"; }

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null && return
    # shellcheck disable=SC2016 # for the shell that is started
    step "Installing $2 for the command $1" sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends "$1"' sh "$2"
}

summary() {
    local status=$?
    printf '\n=== .ci/%s on %s cores, minutes of each step:\n' "$ci" "$(nproc)"
    printf '%s\n' "${ran[@]}"
    printf '%3d:%02d  in all\n' $((SECONDS / 60)) $((SECONDS % 60))
    if [ -s "$PROJECT436_SKIPS" ]; then
        echo "=== Skipped:"
        sort -u "$PROJECT436_SKIPS" | sed 's/^SKIP /  /'
    else
        echo "=== Nothing was skipped."
    fi
    rm -rf "$folder"
    if [ "$status" = 0 ] && [ -z "$running" ]; then
        echo "=== All passed."
    else
        echo "=== FAILED: $running" >&2
        exit 1
    fi
}
trap summary EXIT
trap 'exit 1' INT TERM HUP
