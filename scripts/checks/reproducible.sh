#!/bin/sh
# Builds a target a second time, in a folder with spaces in its path and with another home, and compares the programs with those in dist/. They
# must be the same, byte for byte. Builds them first if dist/ has none.
#   scripts/checks/reproducible.sh [TARGET]      by default x86_64-unknown-linux-musl
# The linker is that of the first build: it is not installed again.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/checking.sh
. scripts/lib/again.sh
logs=''
target=${1:-x86_64-unknown-linux-musl}
[ -d "dist/$target" ] || ./scripts/build-all.sh "$target"
case ${CARGO_TARGET_DIR:=target} in
/*) ;;
*) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;;
esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
there="$folder/another folder"
mkdir -p "$there/target/cross" "$folder/another home"
copy_sources "$there"
ln -s "$CARGO_TARGET_DIR/cross/venv" "$there/target/cross/venv"
tell_commit "$target"
(
    cd "$there"
    export RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" CARGO_HOME="$folder/another home/cargo" CARGO_TARGET_DIR="$there/target"
    HOME="$folder/another home" XDG_CACHE_HOME='' TZ=Asia/Kathmandu LC_ALL=C ./scripts/build-all.sh "$target"
)
same_programs "$target" "$there" "in another folder"
for program in aa436 ax436; do
    if grep -aqF "$folder" "$there/dist/$target/$program"; then fail "$program names a folder of this machine"; fi
done
echo "ok: both programs of $target are the same from two folders"
