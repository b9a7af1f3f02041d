#!/bin/sh
# Builds both programs and measures them beside others: following a log, serving, idling, latency, a burst, a distant server. --help lists the
# options. --install first installs what it compares with (Debian: monit, collectd-core, strace, rsyslog, rsyslog-relp), as root. With
# PROJECT436_BIN_DIR it builds nothing and takes the programs of that folder. See README.md in this folder.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/toolchain.sh

# Keeps the services of these packages from starting.
install() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        policy=''
    else
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
    fi
    as_root apt-get update -q &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
            monit collectd-core strace rsyslog rsyslog-relp || failed=1
    if [ -n "$policy" ]; then
        as_root rm -f "$policy"
    fi
    [ -z "${failed:-}" ]
}

for argument in "$@"; do
    shift
    if [ "$argument" = --install ]; then
        install
    else
        set -- "$@" "$argument"
    fi
done
for command in python3 cc; do
    if ! command -v "$command" >/dev/null 2>&1; then
        echo "There is no $command here. As root: apt-get install python3 gcc libc6-dev" >&2
        exit 1
    fi
done
programs=${PROJECT436_BIN_DIR:-}
if [ -z "$programs" ]; then
    need_rust
    cargo build --release --locked --quiet
    programs=${CARGO_TARGET_DIR:-$PWD/target}/release
fi
# -B: leaves no compiled scripts in the folder.
exec python3 -B scripts/bench/bench.py --programs "$programs" "$@"
