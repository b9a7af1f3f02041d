# Sourced by .ci/run and .ci/full: the steps of both, each written once. To move a step from one to the other, change its first word and
# say why in the commit.
#   always         in both
#   every_time     in .ci/run only: .ci/full has a longer form of the same step
#   for_release    in .ci/full only
# shellcheck shell=bash

built=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release
static=$PWD/dist/x86_64-unknown-linux-musl

need ip iproute2
need journalctl systemd
need nft nftables
need shellcheck shellcheck
need strace strace
need valgrind valgrind
need readelf binutils
need qemu-mips-static qemu-user-static
need qemu-system-mipsel qemu-system-mips
need cpio cpio
need depmod kmod
need mkfs.ext4 e2fsprogs
if [ "${ci:-}" = full ]; then
    need qemu-system-arm qemu-system-arm
    need qemu-system-i386 qemu-system-x86
    need qemu-system-riscv64 qemu-system-misc
    need podman podman
    # No package of Debian has it.
    command -v cross >/dev/null || step "Installing cross" cargo install --quiet --locked --root "${built%/*}/tools" cross@0.2.5
    PATH=$PATH:${built%/*}/tools/bin
fi
need busybox busybox-static
need systemd-analyze systemd
need mandoc mandoc
need chromium chromium
need chromedriver chromium-driver
need npm npm
need promtool prometheus
need nginx nginx-light
need openssl openssl
need curl curl
need debootstrap debootstrap
need lintian lintian
need minisign minisign
need rpm rpm
need ssh openssh-client
need ssh-keygen openssh-client

always "Formatting" cargo fmt --check
always "Shell scripts" shellcheck -x scripts/*.sh scripts/lib/*.sh scripts/lib/stand-ins/* scripts/checks/*.sh scripts/bench/*.sh .ci/run .ci/full .ci/*.sh
always "Start-up scripts" shellcheck -x -s sh scripts/init/*.sh scripts/init/*.openwrt scripts/init/*.openrc scripts/init/*.runit scripts/init/*.freebsd \
    scripts/packages/deb/* scripts/packages/systemd/* scripts/packages/openrc/* scripts/packages/openwrt/*
always "Scripts of machines and images" shellcheck -x -s sh scripts/checks/kernels.init cross/cargo cross/powerpc-cc
always "Lints" cargo clippy --locked --all-targets -- -D warnings
always "Documentation of the code" env RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --lib --quiet
always "All tests, the README's command" ./scripts/check.sh

always "Building for this machine" cargo build --locked --release
always "The example configuration" env -C examples "$built/ax436" -t ax436.conf
always "The demonstration" ./scripts/demo.sh

always "Building the static programs of all targets" ./scripts/build-all.sh
always "Their sizes and headers" ./scripts/checks/dist.sh -s
always "The same programs from another folder" ./scripts/checks/reproducible.sh
for_release "The same programs in containers" ./scripts/checks/cross.sh
always "Packages: installed, upgraded, removed" ./scripts/checks/packages.sh
for_release "Packages on i386" ./scripts/checks/packages.sh i386
# What takes no root of Debian, since debootstrap needs two minutes for it.
every_time "Packages of two systems under their package managers" ./scripts/checks/package-managers.sh apk ipk
for_release "Packages of all systems under their package managers" ./scripts/checks/package-managers.sh
always "The package for crates.io" cargo package --locked --allow-dirty --no-verify --quiet
# Three that differ in the order of bytes and the size of words.
every_time "Emulated sessions of three targets" ./scripts/checks/emulated.sh \
    armv7-unknown-linux-musleabihf mips-unknown-linux-musl aarch64-unknown-linux-musl
for_release "Emulated sessions of all targets" ./scripts/checks/emulated.sh
every_time "A session under a kernel for MIPS" ./scripts/checks/kernels.sh mipsel-unknown-linux-musl
for_release "Sessions under kernels of their own" ./scripts/checks/kernels.sh

always "The programs' tests on the static programs" env PROJECT436_BIN_DIR="$static" RUST_TEST_THREADS=8 cargo test --locked --test programs
for_release "The devices' tests on the static programs" env PROJECT436_BIN_DIR="$static" RUST_TEST_THREADS=8 cargo test --locked --test devices
always "A device of nothing but BusyBox" ./scripts/checks/busybox.sh "$static"
always "A kernel that is as old as Linux 3.2" ./scripts/checks/old-kernel.sh "$static"
always "Installing on made-up devices" ./scripts/checks/install.sh
for_release "Installing on emulated devices" ./scripts/checks/install-emulated.sh
for_release "From nothing to the first event, by the document" ./scripts/checks/first-event.sh
every_time "The Ansible roles: their lints" ./scripts/checks/ansible.sh --lint
for_release "The Ansible roles: installed, upgraded, removed" ./scripts/checks/ansible.sh
always "Units for systemd: their syntax" ./scripts/checks/units.sh
for_release "Units for systemd: under systemd" ./scripts/checks/systemd.sh "$static"
for_release "Fuzz targets, ten times as long" env FUZZ_ITERATIONS=20000 cargo test --locked --test core fuzz::
for_release "Compiling for other systems" ./scripts/checks/portability.sh
for_release "32-bit programs after 2038" ./scripts/checks/2040.sh

every_time "Memory of the agent, its hour in 15 seconds" ./scripts/bench/memory.py --programs "$static" --speed 240 --burst 20000
for_release "Memory of the agent, its hour in one minute" ./scripts/bench/memory.py --programs "$static" --speed 60
always "Instructions of the hot paths" ./scripts/bench/instructions.sh
always "Measurements on small inputs" ./scripts/bench/run.sh --quick
always "How cost grows, on small inputs" ./scripts/bench/growth.py --quick
for_release "Twenty minutes of trouble" env PROJECT436_BIN_DIR="$static" ./scripts/checks/soak.sh 20
