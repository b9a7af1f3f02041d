#!/bin/sh
# Counts the instructions of the hot paths for fixed inputs (benches/instructions.rs) with callgrind, and fails when one needs over 10 %
# more than scripts/bench/instructions.txt says. --update writes that file anew; --markdown prints a table and compares nothing.
# Needs valgrind. Status 77: another compiler or processor made the file, so the counts are printed and not compared.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/checking.sh
. scripts/lib/toolchain.sh
counts=scripts/bench/instructions.txt
times=20
limit=10

case "${1:-}" in
--update | --markdown | '') ;;
*)
    echo "Usage: $0 [--update | --markdown]" >&2
    exit 2
    ;;
esac
need valgrind valgrind
need_rust

# Besides the source, the counts depend on the compiler, the system, and the instructions that its processor has for searching bytes.
vector=plain
if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
    vector=avx2
fi
made_by="$(rustc --version); $(uname -m), $vector"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
cargo bench --locked --bench instructions --no-run --message-format=json 2>"$folder/errors" >"$folder/messages" || {
    cat "$folder/errors" >&2
    exit 1
}
program=$(sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' "$folder/messages" | tail -n 1)
"$program" >"$folder/scenarios"

# instructions NAME TIMES
instructions() {
    if ! valgrind --tool=callgrind --callgrind-out-file="$folder/callgrind" "$program" "$1" "$2" >"$folder/valgrind" 2>&1; then
        cat "$folder/valgrind" >&2
        exit 1
    fi
    sed -n 's/^\(totals\|summary\): \([0-9]*\).*/\2/p' "$folder/callgrind" | tail -n 1
}

{
    echo "# Instructions of the hot paths, counted by scripts/bench/instructions.sh --update"
    echo "# $made_by"
    while read -r name what; do
        ready=$(instructions "$name" 0)
        done=$(instructions "$name" "$times")
        printf '%s\t%s\t%s\n' "$name" "$(((done - ready) / times))" "$what"
    done <"$folder/scenarios"
} >"$folder/counts"

if [ "${1:-}" = --update ]; then
    cp "$folder/counts" "$counts"
    cat "$counts"
    exit
fi
if [ "${1:-}" = --markdown ]; then
    printf '%s\n\n| work | instructions |\n| --- | ---: |\n' "$made_by"
    sed -n 's/^\([^#\t]*\)\t\([0-9]*\)\t\(.*\)/| \3 | \2 |/p' "$folder/counts"
    exit
fi
if [ "$(sed -n 2p "$counts")" != "# $made_by" ]; then
    cat "$folder/counts"
    echo "Not compared: $counts was made by $(sed -n '2s/^# //p' "$counts"), and here is $made_by."
    skip "the counts were made by another compiler or processor"
fi
awk -F '\t' -v limit="$limit" '
    /^#/ { next }
    NR == FNR { before[$1] = $2; next }
    !($1 in before) { printf "%-20s %10d  new: run with --update\n", $1, $2; failed = 1; next }
    {
        more = ($2 / before[$1] - 1) * 100
        printf "%-20s %10d  before %10d  %+6.1f %%%s\n", $1, $2, before[$1], more, (more > limit ? "  TOO MUCH" : "")
        seen[$1] = 1
        if (more > limit) failed = 1
    }
    END {
        for (name in before) if (!(name in seen)) { print name ": gone; run with --update"; failed = 1 }
        exit failed
    }' "$counts" "$folder/counts" || {
    echo "If that is meant to be so: scripts/bench/instructions.sh --update" >&2
    exit 1
}
