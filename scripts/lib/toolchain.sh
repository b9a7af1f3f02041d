# Sourced by other scripts: makes sure that there is a Rust toolchain that can build this project. If it is missing, it is installed on Debian
# from Debian's packages if the user may; otherwise the command is printed.
# shellcheck shell=sh

# Whether Rust is at least 1.82, the rust-version of Cargo.toml.
rust_is_new_enough() {
    command -v cargo >/dev/null 2>&1 || return 1
    version=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
    [ -n "$version" ] && [ "$version" -ge 82 ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        return 1
    fi
}

# Debian 12 has a current Rust in the packages that its browsers are built with; Debian 13 in the plain ones. cargo verifies the servers that
# it downloads from by ca-certificates, which a minimal Debian lacks.
install_rust() {
    command -v apt-get >/dev/null 2>&1 || return 1
    echo "There is no Rust of at least 1.82 here: installing it from Debian's packages."
    as_root apt-get update -q || return 1
    if apt-cache show cargo-web >/dev/null 2>&1; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends cargo-web rustc-web gcc libc6-dev ca-certificates
    else
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends cargo gcc libc6-dev ca-certificates
    fi
}

need_rust() {
    rust_is_new_enough && return
    install_rust || true
    rust_is_new_enough && return
    cat >&2 <<'END'
This project needs Rust 1.82 or newer, a C compiler for linking, and certificates for downloading its crates. As root:
  Debian 12:  apt-get update && apt-get install cargo-web rustc-web gcc libc6-dev ca-certificates
  Debian 13:  apt-get update && apt-get install cargo gcc libc6-dev ca-certificates
  elsewhere:  rustup, and your system's C compiler
END
    exit 1
}
