# Sourced by build-all.sh: the two ways to build for other machines, and what goes into dist/.
# shellcheck shell=sh disable=SC2154 # build-all.sh sets $way

# zig is the linker and brings the C library; the versions are those that this was tested with. From 0.16 on zig puts a malloc of its own in
# place of musl's: it gives no memory back and touches all that calloc returns, which doubles the agent's memory (1,076 KiB after its hour).
ZIG=ziglang==0.15.2
ZIGBUILD=cargo-zigbuild==0.24.0
# The library's profile panic = "immediate-abort" is understood from this version of Rust on, 1.N; and the newest that this was tested with.
LEAST_RUST=92
TESTED_RUST=96
DEBIAN_RUST='rustc-web cargo-web rust-web-src'
IMAGE=localhost/project436-build

case ${CARGO_TARGET_DIR:=target} in
/*) work=$CARGO_TARGET_DIR/cross ;;
*) work=$PWD/$CARGO_TARGET_DIR/cross ;;
esac

say() { echo "== $*"; }

fail() {
    echo "build-all.sh: $*" >&2
    exit 1
}

targets() { sed -n 's/^\([a-z0-9_]*-[a-z0-9_-]*\).*/\1/p' cross/targets; }

choose_way() {
    case $way in
    cross) say "Building with cross, in containers"; prepare_cross ;;
    zig) say "Building without containers, with zig as the linker"; prepare_zig ;;
    *) fail "-w is cross or zig" ;;
    esac
}

prepare_cross() {
    command -v cross >/dev/null 2>&1 || fail "there is no command cross. Install it with: cargo install cross"
    choose_engine
    keep_toolchains
    say "Making the image $IMAGE by cross/Dockerfile with ${CROSS_CONTAINER_ENGINE##*/}"
    "$CROSS_CONTAINER_ENGINE" build --network host --tag "$IMAGE" --build-arg "BASE=${BASE_IMAGE:-debian:12-slim}" \
        --build-arg "RUST=$DEBIAN_RUST" --build-arg "ZIG=$ZIG" --build-arg "ZIGBUILD=$ZIGBUILD" cross
    # cross shall take the compiler of the image, and leave the toolchains here as they are. It shows its arguments to the cargo here first.
    export CROSS_CONFIG="$PWD/cross/Cross.toml" CROSS_CUSTOM_TOOLCHAIN=1 RUSTC_BOOTSTRAP=1
    export CROSS_CONTAINER_OPTS="--network host ${CROSS_CONTAINER_OPTS:-}"
    compiler=$(in_image /usr/bin/rustc --version) || fail "no program runs in the image $IMAGE"
    sysroot=/usr
    say "Compiler: $compiler, that of the image"
}

# Runs a command in the image, with this folder and the crates, as cross does.
in_image() { # in_image COMMAND...
    # What a container of docker writes would be root's.
    user=''
    if [ "${CROSS_CONTAINER_ENGINE##*/}" = docker ]; then user="--user $(id -u):$(id -g)"; fi
    # shellcheck disable=SC2086 # options
    "$CROSS_CONTAINER_ENGINE" run --rm $user $CROSS_CONTAINER_OPTS --volume "$PWD:/project:z" --workdir /project \
        --volume "${CARGO_HOME:-$HOME/.cargo}:/cargo:z" --env CARGO_HOME=/cargo "$IMAGE" "$@"
}

# cross 0.2.5 asks rustup for the toolchains, does not understand what rustup from 1.28 on says, and then has it update the toolchain in use,
# CROSS_CUSTOM_TOOLCHAIN or not. So it finds another rustup, which names that toolchain and does nothing else. No other rustup is needed.
keep_toolchains() {
    mkdir -p "$work/bin"
    cat >"$work/bin/rustup" <<'END'
#!/bin/sh
[ "$*" = 'toolchain list' ] || { echo "build-all.sh: cross shall not change toolchains: rustup $*" >&2; exit 1; }
basename "$(rustc --print sysroot)"
END
    chmod 755 "$work/bin/rustup"
    export PATH="$work/bin:$PATH"
}

# The engine that answers: cross would take docker wherever its command exists, though no daemon runs.
choose_engine() {
    for engine in ${CROSS_CONTAINER_ENGINE:-docker podman}; do
        if command -v "$engine" >/dev/null 2>&1 && "$engine" info >/dev/null 2>&1; then
            CROSS_CONTAINER_ENGINE=$(command -v "$engine")
            export CROSS_CONTAINER_ENGINE
            if [ "${engine##*/}" = podman ] && [ -d /sys/fs/cgroup/unified ] && [ "$(id -u)" = 0 ]; then use_hybrid_cgroups; fi
            return
        fi
    done
    fail "neither docker nor podman runs. On Debian: apt-get install podman"
}

# podman 4 fails where the second version of cgroups is mounted inside the first. It works in a namespace of mounts without that, and with no
# cgroups of its own; the limits of a container then have to be given.
use_hybrid_cgroups() {
    mkdir -p "$work"
    # shellcheck disable=SC2016 # for the shell in the namespace
    printf '#!/bin/sh\nexec unshare --mount sh -c '\''umount /sys/fs/cgroup/unified && exec "$0" "$@"'\'' %s "$@"\n' \
        "$CROSS_CONTAINER_ENGINE" >"$work/podman"
    chmod 755 "$work/podman"
    CROSS_CONTAINER_ENGINE=$work/podman
    CROSS_CONTAINER_OPTS="--cgroups disabled --ulimit nofile=4096:4096 --ulimit nproc=8192:8192 ${CROSS_CONTAINER_OPTS:-}"
}

# The linker in a virtual environment, and a compiler that has the source of its library.
prepare_zig() {
    if ! [ -f "$work/venv/$ZIG-$ZIGBUILD" ]; then
        say "Installing $ZIG and $ZIGBUILD from PyPI into $work/venv"
        rm -rf "$work/venv"
        python3 -m venv "$work/venv" || install_venv || fail "Python and its venv are missing. On Debian: apt-get install python3-venv"
        "$work/venv/bin/pip" install --quiet "$ZIG" "$ZIGBUILD" || fail "pip could not install $ZIG and $ZIGBUILD"
        touch "$work/venv/$ZIG-$ZIGBUILD"
    fi
    find_compiler
    compiler=$("$RUSTC" --version)
    sysroot=$("$RUSTC" --print sysroot)
    say "Compiler: $compiler, library from $sysroot/lib/rustlib/src"
    # What depends on -Z: the library is built from its source. Debian's compiler is the stable one, told to allow that.
    export RUSTC_BOOTSTRAP=1
}

# Debian keeps what Python's venv needs in a package of its own.
install_venv() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    say "Installing python3-venv from Debian's packages"
    apt-get update -q && apt-get install -y -q --no-install-recommends python3-venv && python3 -m venv --clear "$work/venv"
}

find_compiler() {
    find_rustup_compiler && return
    has_source /usr/bin && return
    unpacked=$work/debian/usr/bin
    if [ -x "$unpacked/rustc" ]; then
        use_unpacked
        has_source "$unpacked" && return
    fi
    if command -v apt-get >/dev/null 2>&1; then
        if install_debian_compiler || unpack_debian_compiler; then return; fi
    elif command -v rustup >/dev/null 2>&1; then
        say "Trying: rustup component add rust-src"
        if rustup component add rust-src && find_rustup_compiler; then return; fi
    fi
    missing_compiler
}

missing_compiler() {
    fail "there is no Rust of at least 1.$LEAST_RUST with the source of its library. Install it with one of
  Debian:     apt-get update && apt-get install $DEBIAN_RUST
  elsewhere:  rustup component add rust-src$(missing_source)"
}

# On Debian 12 the packages are among the security updates, which a minimal system may not ask for.
missing_source() {
    release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null)
    [ "$release" = bookworm ] && command -v apt-cache >/dev/null 2>&1 || return 0
    apt-cache policy | grep -q 'bookworm-security' && return
    server=$(apt-cache policy | sed -n 's|.* \(http[^ ]*\)/debian bookworm/main .*|\1|p' | head -n 1)
    printf '\n%s\n  %s' "This line is missing in /etc/apt/sources.list, since Debian 12 has that compiler among its security updates:" \
        "deb ${server:-SERVER}/debian-security bookworm-security main"
}

find_rustup_compiler() {
    command -v rustup >/dev/null 2>&1 || return 1
    found=$(rustup which rustc 2>/dev/null) || return 1
    has_source "$(dirname "$found")"
}

# Takes the compiler in that folder if it is new enough and has the source of its library.
has_source() {
    [ -x "$1/rustc" ] && [ -x "$1/cargo" ] || return 1
    version=$("$1/rustc" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge "$LEAST_RUST" ] || return 1
    [ -f "$1/../lib/rustlib/src/rust/library/std/Cargo.toml" ] || return 1
    export RUSTC="$1/rustc" CARGO="$1/cargo" PATH="$work/venv/bin:$1:$PATH"
}

install_debian_compiler() {
    [ "$(id -u)" = 0 ] || return 1
    apt-get update -q && apt-cache show rust-web-src >/dev/null 2>&1 || return 1
    # Nothing may be taken away for it: what is installed may be someone's compiler.
    # shellcheck disable=SC2086
    if apt-get install -s --no-install-recommends $DEBIAN_RUST | grep -q '^Remv'; then return 1; fi
    say "Installing $DEBIAN_RUST from Debian's packages"
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $DEBIAN_RUST && has_source /usr/bin
}

# Debian's compiler in a folder of its own: its packages, and the libraries that come with them.
unpack_debian_compiler() {
    say "Unpacking $DEBIAN_RUST from Debian's packages into $work/debian"
    apt-cache show rust-web-src >/dev/null 2>&1 || return 1
    mkdir -p "$work/debs" "$work/debian"
    # shellcheck disable=SC2086
    packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $DEBIAN_RUST |
        grep -E '^(rustc-web|cargo-web|rust-web-src|libstd-rust-web.*|libllvm[0-9]+|libgit2.*|libssh2.*|libhttp-parser.*|libmbed.*|libz3-.*|libcurl.*)$' | sort -u)
    # shellcheck disable=SC2086
    (cd "$work/debs" && apt-get download $packages) || return 1
    for package in "$work/debs"/*.deb; do dpkg -x "$package" "$work/debian" || return 1; done
    use_unpacked && has_source "$unpacked"
}

use_unpacked() {
    LD_LIBRARY_PATH=$(find "$work/debian/usr/lib" -name '*.so*' -exec dirname {} \; | sort -u | tr '\n' ':')
    export LD_LIBRARY_PATH
}

# LTO and the rest of the profile are those of Cargo.toml. Here: the smallest code; programs that the kernel may load anywhere (static-pie);
# a panic aborts at once, without its text and the code that formats it; the copies with symbols know lines of code.
build() {
    export CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_DEBUG=line-tables-only CARGO_PROFILE_RELEASE_STRIP=false
    flags="-C relocation-model=$(relocation_model "$1") -C link-arg=-Wl,-z,relro,-z,now"
    export CARGO_PROFILE_RELEASE_PANIC=immediate-abort
    # No tables for unwinding, no places of panics and no derived Debug texts: nothing here would print or use them.
    flags="$flags -C link-self-contained=no -C force-unwind-tables=no -Z location-detail=none -Z fmt-debug=none"
    # The shorter of the two instruction sets. For ARMv6 the compiler's own library is not written in it, but it is for ARMv5TE, all of which ARMv6 can do.
    triple=$1
    case $1 in arm-*) triple=armv5te${1#arm} ;; esac
    processor=$(awk -v target="$1" '$1 == target { print $4 }' cross/targets)
    [ "$processor" = - ] || flags="$flags -C target-cpu=$processor"
    # The target asks for the second revision whatever the processor.
    [ "$processor" != mips32 ] || flags="$flags -C target-feature=-mips32r2"
    case $triple in armv7-* | armv5te-*) flags="$flags -C target-feature=+thumb-mode" ;; esac
    case $way in cross) output=$work/containers ;; *) output=$work/target ;; esac
    built=$output/$triple/release
    # -Os is for the C library, which zig compiles. zig ignores rustc's -static-pie, but not -static and -pie.
    # The linker runs in this folder. collect() replaces the build id, which hashes folders of this machine in the symbols too.
    flags="$flags -C link-arg=-Os -C link-arg=-Wl,--build-id=sha1 -C link-arg=-Wl,-T,cross/smaller.ld"
    [ "$(relocation_model "$1")" = static ] || flags="$flags -C link-arg=-static -C link-arg=-pie"
    set -- --release --locked --target "$triple" --target-dir "$output" --bins --quiet --no-default-features \
        -Z panic-immediate-abort -Z build-std=std,panic_abort -Z build-std-features=optimize_for_size
    encode_flags
    compile "$triple" "$@" || build_failed "$target"
}

# cargo with those arguments, here or in the image.
compile() { # compile TARGET ARGUMENTS...
    triple=$1
    shift
    case $way-$triple in
    cross-powerpc-*) named_image "$triple" CARGO_TARGET_POWERPC_UNKNOWN_LINUX_MUSL_LINKER=powerpc-cc cross build "$@" ;;
    cross-*) named_image "$triple" cross build "$@" ;;
    zig-powerpc-*) CARGO_TARGET_POWERPC_UNKNOWN_LINUX_MUSL_LINKER=$PWD/cross/powerpc-cc "$CARGO" build "$@" ;;
    zig-*) cargo-zigbuild zigbuild "$@" ;;
    esac
}

# Runs cross with the image, which it reads from a variable of the target's name.
named_image() { # named_image TARGET [VARIABLE=VALUE] COMMAND...
    variable=CROSS_TARGET_$(echo "$1" | tr 'a-z-' 'A-Z_')_IMAGE
    shift
    env "$variable=$IMAGE" "$@"
}

# cargo splits RUSTFLAGS at spaces, which the folders here may have; this variable it splits at the byte 037. The symbols name no folders of
# this machine or of the image.
encode_flags() {
    between=$(printf '\037')
    CARGO_ENCODED_RUSTFLAGS=$(printf '%s' "$flags" | tr ' ' "$between")
    case $way in
    cross) root=/project crates=/cargo/registry/src ;;
    *) root=$PWD crates=${CARGO_HOME:-$HOME/.cargo}/registry/src ;;
    esac
    for folder in "$root=/project436" "$crates=/crates" "$sysroot/lib/rustlib/src/rust=/rust"; do
        CARGO_ENCODED_RUSTFLAGS=$CARGO_ENCODED_RUSTFLAGS$between--remap-path-prefix=$folder
    done
    export CARGO_ENCODED_RUSTFLAGS
}

build_failed() { # build_failed TARGET
    version=$(echo "$compiler" | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p')
    [ "$version" -gt "$TESTED_RUST" ] || fail "$1 could not be built"
    case $way in
    cross) advice="BASE_IMAGE names another base image, whose Debian may have that" ;;
    *) advice="RUSTUP_TOOLCHAIN=1.$TESTED_RUST chooses that, where rustup has it" ;;
    esac
    fail "$1 could not be built. This is Rust 1.$version; the newest that was tested is 1.$TESTED_RUST: $advice"
}

# Position-independent wherever cross/targets says pie.
relocation_model() {
    if grep -q "^$1 .* pie " cross/targets; then echo pie; else echo static; fi
}

# dist/TARGET: the stripped programs, their unstripped copies (NAME.debug) and the sums.
collect() {
    folder=dist/$1
    rm -rf "$folder"
    mkdir -p "$folder"
    for program in aa436 ax436; do
        cp "$built/$program" "$folder/$program.debug"
        chmod 644 "$folder/$program.debug"
        python3 scripts/lib/strip.py "$folder/$program.debug" "$folder/$program"
        chmod 755 "$folder/$program"
    done
    (cd "$folder" && sha256sum aa436 ax436 >SHA256SUMS)
}

# dist/NOTICES, dist/sbom.cdx.json and dist/BUILD: licences and origin of all that is linked into the programs.
notices() {
    case $way in
    cross) in_image /opt/zig/bin/python3 scripts/lib/notices.py /usr/bin/rustc ;;
    *) "$work/venv/bin/python3" scripts/lib/notices.py "$RUSTC" ;;
    esac
}

# What was built, with the sizes in bytes.
summary() {
    printf '%-31s %8s %8s  %s\n' target aa436 ax436 'SHA-256 of both'
    for target in "$@"; do
        folder=dist/$target
        printf '%-31s %8s %8s  %s\n' "$target" "$(stat -c %s "$folder/aa436")" "$(stat -c %s "$folder/ax436")" \
            "$(cut -c 1-16 "$folder/SHA256SUMS" | tr '\n' ' ')"
    done
}
