#!/bin/sh
# Builds a target in containers, with cross, and compares the programs with those in dist/, which were built without containers. They must be the
# same, byte for byte. Builds those first if dist/ has none.
#   scripts/checks/cross.sh [TARGET...]      by default x86_64-unknown-linux-musl
# Needs cross, and docker or podman. The image is made from BASE_IMAGE. Where that is not set and nothing can be pulled, it is made of Debian's
# packages, which needs root and debootstrap. Status 77: no engine answers, there is no base image, or dist/ is another compiler's.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/checking.sh
. scripts/lib/again.sh
. scripts/lib/debian.sh
logs=''
debian=${CARGO_TARGET_DIR:-target}/debian-root
own=localhost/project436-debian:12

# The engine that answers, as build-all.sh chooses it.
answering() {
    for engine in ${CROSS_CONTAINER_ENGINE:-docker podman}; do
        if command -v "$engine" >/dev/null 2>&1 && timeout 60 "$engine" info >/dev/null 2>&1; then return 0; fi
    done
    return 1
}

has_image() { "$engine" image inspect "$1" >/dev/null 2>&1; }

# Debian 12 with its security updates, which have the compiler, and with the certificates of this machine's administrator.
import_debian() {
    more=$folder/more
    mkdir -p "$more/etc/apt/sources.list.d" "$more/usr/local/share/ca-certificates"
    sed 's|debian bookworm|debian-security bookworm-security|' "$debian/root/etc/apt/sources.list" >"$more/etc/apt/sources.list.d/security.list"
    cp /usr/local/share/ca-certificates/*.crt "$more/usr/local/share/ca-certificates/" 2>/dev/null || true
    # podman takes no folder twice.
    (cd "$more" && find . -type f) >"$folder/files"
    tar --create --file "$folder/image.tar" --directory "$debian/root" . --directory "$more" --files-from "$folder/files"
    "$engine" import "$folder/image.tar" "$own"
    rm "$folder/image.tar"
}

choose_base() {
    [ -z "${BASE_IMAGE:-}" ] || return 0
    BASE_IMAGE=debian:12-slim
    if ! has_image "$BASE_IMAGE" && ! has_image "$own" && ! timeout 300 "$engine" pull "$BASE_IMAGE"; then
        make_debian "$debian" || skip "debian:12-slim cannot be pulled, and no root of Debian 12 can be made here"
        import_debian
    fi
    if has_image "$own"; then BASE_IMAGE=$own; fi
    export BASE_IMAGE
}

need cross 'podman, then: cargo install --locked cross'
answering || skip "neither docker nor podman answers"
[ $# -gt 0 ] || set -- x86_64-unknown-linux-musl
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
choose_base
for target in "$@"; do
    [ -d "dist/$target" ] || ./scripts/build-all.sh "$target"
done

there=$folder/copy
mkdir "$there"
copy_sources "$there"
tell_commit "$1"
(cd "$there" && CARGO_TARGET_DIR=$there/target ./scripts/build-all.sh -w cross "$@")
if ! cmp -s dist/BUILD "$there/dist/BUILD"; then
    head dist/BUILD "$there/dist/BUILD" >&2
    skip "the image has another compiler than the one that made dist/"
fi
for target in "$@"; do
    same_programs "$target" "$there" "in containers"
    echo "ok: both programs of $target are the same in containers and without"
done
