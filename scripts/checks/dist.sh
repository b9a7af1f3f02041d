#!/bin/sh
# Checks the programs in dist/: each is for its processor, static, and position-independent where cross/targets says so, with relocated
# memory that becomes read-only. Names those that are larger than cross/targets allows; with -s that is a fault too. The licences of all
# dependencies are there.
#   scripts/checks/dist.sh [-s] [TARGET...]      by default all that are in dist/
set -eu
cd "$(dirname "$0")/../.."
if ! command -v readelf >/dev/null 2>&1; then
    echo "dist.sh: there is no readelf. On Debian: apt-get install binutils" >&2
    exit 1
fi

strict=false
if [ "${1:-}" = -s ]; then
    strict=true
    shift
fi

faults=0
fault() {
    echo "FAULT $*"
    faults=$((faults + 1))
}

# As readelf words the processor of a target.
machine() {
    case $1 in
    x86_64) echo 'Advanced Micro Devices X86-64' ;;
    aarch64) echo AArch64 ;;
    arm*) echo ARM ;;
    mips*) echo 'MIPS R3000' ;;
    i586) echo 'Intel 80386' ;;
    riscv64*) echo RISC-V ;;
    powerpc) echo PowerPC ;;
    esac
}

check() { # check TARGET PROGRAM KIB pie|fixed
    file=dist/$1/$2
    if ! [ -f "$file" ]; then
        fault "$file is missing"
        return
    fi
    size=$(stat -c %s "$file")
    header=$(readelf -hW "$file")
    segments=$(readelf -lW "$file")
    printf '%-31s %-6s %8s of %8s bytes\n' "$1" "$2" "$size" "$(($3 * 1024))"
    echo "$header" | grep -q "Machine: *$(machine "${1%%-*}")$" || fault "$file is for another processor"
    case $1 in
    mipsel-* | x86_64-* | aarch64-* | arm* | i586-* | riscv64*) order=little ;;
    *) order=big ;;
    esac
    echo "$header" | grep -q "Data:.*$order endian" || fault "$file is not $order-endian"
    ! echo "$segments" | grep -q INTERP || fault "$file wants an interpreter"
    if [ "$4" = pie ]; then
        echo "$header" | grep -q 'Type: *DYN ' || fault "$file is not position-independent"
        readelf -dW "$file" | grep -q 'FLAGS_1.*PIE' || fault "$file is not marked as a position-independent program"
        echo "$segments" | grep -q GNU_RELRO || fault "$file does not say what becomes read-only"
    else
        echo "$header" | grep -q 'Type: *EXEC ' || fault "$file is position-independent, and cross/targets says that it is not"
        ! echo "$segments" | grep -q DYNAMIC || fault "$file has a dynamic section"
    fi
    ! echo "$segments" | grep 'GNU_STACK' | grep -q E || fault "$file has an executable stack"
    ! echo "$segments" | grep -q 'LOAD.*RWE' || fault "$file has memory that is both written to and executed"
    beyond=$(echo "$segments" | awk '$2 ~ /^0x/ && $5 ~ /^0x/ { print $1, $2, $5 }' |
        while read -r kind place length; do [ $((place + length)) -le "$size" ] || echo "$kind"; done)
    [ -z "$beyond" ] || fault "$file has a segment behind its end: $beyond"
    ! readelf -dW "$file" 2>&1 | grep -q NEEDED || fault "$file needs libraries"
    if [ "$size" -gt $(($3 * 1024)) ]; then
        over="$file is $((size - $3 * 1024)) bytes over its $3 KiB"
        if $strict; then fault "$over"; else echo "OVER  $over"; fi
    fi
    (cd "dist/$1" && sha256sum --check --quiet --strict SHA256SUMS) || fault "dist/$1/SHA256SUMS does not fit"
}

wanted=$*
checked=0
while read -r target _ _ _ agent server position _; do
    case $target in '' | '#'*) continue ;; esac
    if [ -n "$wanted" ]; then
        case " $wanted " in *" $target "*) ;; *) continue ;; esac
    elif ! [ -d "dist/$target" ]; then
        continue
    fi
    check "$target" aa436 "$agent" "$position"
    check "$target" ax436 "$server" "$position"
    checked=$((checked + 1))
done <cross/targets
for name in $(sed -n '/^\[dependencies\]/,/^\[features/s/^\([a-z0-9-]*\) = .*/\1/p' Cargo.toml) musl; do
    grep -q "^${name}[ ,]" dist/NOTICES || fault "dist/NOTICES has no licence of $name"
    grep -qF "\"name\": \"$name\"" dist/sbom.cdx.json || fault "dist/sbom.cdx.json does not list $name"
done
echo "$checked targets, $faults faults"
[ "$checked" -gt 0 ] && [ "$faults" = 0 ]
