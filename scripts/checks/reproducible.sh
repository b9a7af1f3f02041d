#!/bin/sh
# Builds a target a second time, in a folder with spaces in its path and with another home, and compares the programs with those in dist/. They
# must be the same, byte for byte. Builds them first if dist/ has none.
#   scripts/checks/reproducible.sh [TARGET]      by default x86_64-unknown-linux-musl
# The linker is that of the first build: it is not installed again.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib/checking.sh
logs=''
target=${1:-x86_64-unknown-linux-musl}
[ -d "dist/$target" ] || ./scripts/build-all.sh "$target"
case ${CARGO_TARGET_DIR:=target} in
/*) ;;
*) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;;
esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
here=$PWD there="$folder/another folder"
mkdir -p "$there/target/cross" "$folder/another home"
# What git would store, so that the two builds are of the same files, and not what is in the folders of results.
git ls-files --cached --others --exclude-standard | tar -c --files-from=- --ignore-failed-read 2>/dev/null | tar -x -C "$there"
ln -s "$CARGO_TARGET_DIR/cross/venv" "$there/target/cross/venv"
# The copy is no repository: it does not know its commit.
PROJECT436_COMMIT=$("dist/$target/aa436" -V 2>/dev/null | sed -n 's/.*(\(.*\), .*/\1/p')
[ -n "$PROJECT436_COMMIT" ] || PROJECT436_COMMIT=$(git describe --always --abbrev=12 --exclude='*' --dirty=+)
export PROJECT436_COMMIT
cd "$there"
export RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" CARGO_HOME="$folder/another home/cargo" CARGO_TARGET_DIR="$there/target"
HOME="$folder/another home" XDG_CACHE_HOME='' TZ=Asia/Kathmandu LC_ALL=C ./scripts/build-all.sh "$target"
for program in aa436 ax436; do
    cmp "$here/dist/$target/$program" "dist/$target/$program" || fail "$program of $target differs in another folder"
    if grep -aqF "$folder" "dist/$target/$program"; then fail "$program names a folder of this machine"; fi
done
echo "ok: both programs of $target are the same from two folders"
