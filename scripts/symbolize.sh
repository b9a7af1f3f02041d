#!/bin/sh
# Turns the line that a crashed program left in its log into the place in the code, by the symbols in dist/TARGET/. Its last number is the
# place in the program's file, wherever the kernel loaded it.
#   scripts/symbolize.sh [LOG]      reads standard input without LOG
set -eu
here=$(dirname "$0")/..
for command in readelf addr2line; do
    command -v "$command" >/dev/null 2>&1 && continue
    echo "symbolize.sh: there is no $command. On Debian: apt-get install binutils" >&2
    exit 1
done

# The file with the symbols of that build.
symbols_of() {
    for file in "$here"/dist/*/*.debug; do
        if readelf -n "$file" 2>/dev/null | grep -q "Build ID: $1\$"; then
            echo "$file"
            return
        fi
    done
    return 1
}

found=1
# shellcheck disable=SC2013
for crash in $(sed -n 's/^crashed: .* build \([0-9a-f]*\), signal \([0-9]*\), .* at 0x\([0-9a-f]*\)$/\1,\2,\3/p' "${1:--}"); do
    build=${crash%%,*} place=${crash##*,}
    if ! file=$(symbols_of "$build"); then
        echo "symbolize.sh: no file dist/*/*.debug has the build id $build" >&2
        continue
    fi
    echo "signal $(echo "$crash" | cut -d, -f2) at 0x$place of $file:"
    addr2line -a -f -i -C -e "$file" "$place" | sed 's/^/  /'
    found=0
done
[ "$found" = 0 ] || echo "symbolize.sh: no crash was found that could be looked up" >&2
exit "$found"
