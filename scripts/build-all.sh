#!/bin/sh
# Builds both programs as static files for every target of cross/targets, or for those named, into dist/TARGET/.
#   scripts/build-all.sh [-w cross|zig] [TARGET...]
# Two ways: "zig" builds here with zig as the linker, and is taken unless -w is given; "cross" builds in containers, with the same compiler, linker and flags.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib/cross.sh

usage() {
    sed -n '2,4s/^# \{0,1\}//p' scripts/build-all.sh
    echo "Targets:"
    targets | sed 's/^/  /'
}

way=zig
while getopts w:h option; do
    case $option in
    w) way=$OPTARG ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
for target in "$@"; do
    targets | grep -qxF -- "$target" || fail "$target is not in cross/targets; scripts/build-all.sh -h lists those that are"
done
[ $# -gt 0 ] || eval "set -- $(targets | tr '\n' ' ')"

choose_way
# Twelve digits of the commit, with a + if the files differ from it. build.rs finds it out itself where this is no repository of git.
if [ -e .git ]; then
    PROJECT436_COMMIT=$(git -c 'safe.directory=*' describe --always --abbrev=12 --exclude='*' --dirty=+ 2>/dev/null) || PROJECT436_COMMIT=''
    export PROJECT436_COMMIT
fi
number=0
for target in "$@"; do
    number=$((number + 1))
    say "Building $target ($number of $#)"
    build "$target"
    collect "$target"
done
notices
say "In dist/TARGET/, with sums of both in SHA256SUMS:"
summary "$@"
