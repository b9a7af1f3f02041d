# For targets that rustup has no library for, with cross: a C compiler for build scripts, and zig as linker and C library. cross brings Rust itself.
FROM debian:12-slim
RUN apt-get update \
    && apt-get install --assume-yes --no-install-recommends ca-certificates gcc libc6-dev python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/zig \
    && /opt/zig/bin/pip install --no-cache-dir ziglang==0.15.2 cargo-zigbuild==0.24.0
ARG ZIG_TARGET
ARG CARGO_TARGET
# The command that cargo-zigbuild makes for itself elsewhere: it leaves out what rustc says to the linker of another C library.
RUN printf '#!/bin/sh\nPATH=/opt/zig/bin:$PATH exec cargo-zigbuild zig cc -- -target %s "$@"\n' "$ZIG_TARGET" >/usr/local/bin/target-cc \
    && chmod 755 /usr/local/bin/target-cc
# cross runs it as any user, whose home is not writable.
ENV ZIG_GLOBAL_CACHE_DIR=/tmp/zig ZIG_LOCAL_CACHE_DIR=/tmp/zig XDG_CACHE_HOME=/tmp/cache
# cargo reads the linker of a target from CARGO_TARGET_NAME_LINKER; cross passes its flags on as RUSTFLAGS.
ENV CARGO_TARGET_${CARGO_TARGET}_LINKER=/usr/local/bin/target-cc
