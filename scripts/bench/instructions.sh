#!/bin/sh
# Counts the instructions of the hot paths for fixed inputs (benches/instructions.rs) with callgrind, and fails when one needs over 10 %
# more than scripts/bench/instructions.txt says. Where another compiler or processor made that file, it counts the commit that wrote the file
# too, by the compiler that is here, and compares with that. --update writes the file anew; --markdown prints a table and compares nothing.
# Needs valgrind. Status 77: another compiler or processor made the file, and this is no git repository, so there is nothing to compare with.
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

# Builds the scenarios of a source tree and prints the path of the program. callgrind needs the names of its functions.
build() { # build SOURCE TARGET
    (cd "$1" && CARGO_TARGET_DIR=$2 CARGO_PROFILE_BENCH_STRIP=none cargo bench --locked --bench instructions --no-run --message-format=json) \
        2>"$folder/errors" >"$folder/messages" || {
        cat "$folder/errors" >&2
        return 1
    }
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' "$folder/messages" | tail -n 1
}

# Those of a scenario: of the whole program, or of one function and what it calls.
instructions() { # instructions PROGRAM NAME FUNCTION TIMES
    program=$1 name=$2 function=$3 times_done=$4
    set -- --tool=callgrind --callgrind-out-file="$folder/callgrind"
    if [ "$function" != - ]; then
        set -- "$@" "--toggle-collect=*$function*"
    fi
    if ! valgrind "$@" "$program" "$name" "$times_done" >"$folder/valgrind" 2>&1; then
        cat "$folder/valgrind" >&2
        return 1
    fi
    sed -n 's/^\(totals\|summary\): \([0-9]*\).*/\2/p' "$folder/callgrind" | tail -n 1
}

# Prints name, instructions and description of each scenario.
count() { # count PROGRAM
    "$1" >"$folder/scenarios"
    while IFS='	' read -r name function what; do
        ready=$(instructions "$1" "$name" "$function" 0) || return 1
        done=$(instructions "$1" "$name" "$function" "$times") || return 1
        if [ "$done" -le "$ready" ]; then
            echo "$name: callgrind counts nothing. Is there a function ${function} that is not inlined?" >&2
            return 1
        fi
        printf '%s\t%s\t%s\n' "$name" "$(((done - ready) / times))" "$what"
    done <"$folder/scenarios"
}

# Sets $commit to the one that wrote the file.
find_commit() {
    echo "$counts was made by $(sed -n '2s/^# //p' "$counts"), and here is $made_by." >&2
    if ! git rev-parse --git-dir >/dev/null 2>&1; then
        skip "another compiler or processor made the counts, and this is no git repository"
    fi
    commit=$(git log -1 --format=%H -- "$counts")
    # The oldest commit of a shallow clone seems to have written every file.
    if [ -z "$commit" ] || grep -qx "$commit" "$(git rev-parse --git-path shallow)" 2>/dev/null; then
        echo "The commit that wrote $counts is not here to be counted. Get it by: git fetch --unshallow" >&2
        exit 1
    fi
}

# Counts that commit by the compiler that is here.
count_before() {
    echo "Counting commit $(git log -1 --format=%h "$commit") too, which wrote $counts." >&2
    mkdir "$folder/before"
    # -m: files are as of now. Cargo would take older ones for built, by the last build of another commit.
    git archive "$commit" | tar -xm -C "$folder/before"
    if ! program=$(build "$folder/before" "$target/instructions-before") || ! count "$program" >"$folder/counts-before"; then
        echo "Commit $commit could not be counted. If this compiler cannot build it: scripts/bench/instructions.sh --update" >&2
        exit 1
    fi
}

case ${CARGO_TARGET_DIR:=target} in
/*) target=$CARGO_TARGET_DIR ;;
*) target=$PWD/$CARGO_TARGET_DIR ;;
esac
commit=''
if [ -z "${1:-}" ] && [ "$(sed -n 2p "$counts")" != "# $made_by" ]; then
    find_commit
fi
program=$(build . "$target")
count "$program" >"$folder/counts"

if [ "${1:-}" = --update ]; then
    printf '# Instructions of the hot paths, counted by scripts/bench/instructions.sh --update\n# %s\n' "$made_by" | cat - "$folder/counts" >"$counts"
    cat "$counts"
    exit
fi
if [ "${1:-}" = --markdown ]; then
    printf '%s\n\n| work | instructions |\n| --- | ---: |\n' "$made_by"
    sed -n 's/^\([^#\t]*\)\t\([0-9]*\)\t\(.*\)/| \3 | \2 |/p' "$folder/counts"
    exit
fi
before=$counts
if [ -n "$commit" ]; then
    count_before
    before=$folder/counts-before
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
    }' "$before" "$folder/counts" || {
    echo "If that is meant to be so: scripts/bench/instructions.sh --update" >&2
    exit 1
}
