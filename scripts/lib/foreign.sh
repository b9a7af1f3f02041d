# Sourced by checks that take Debian's packages of other processors: an apt of their own, with the system's servers and keys, in a folder. The
# system's apt and dpkg are left alone.
# shellcheck shell=sh

# Makes that apt. Its sources are the system's, or of the system's Debian server those of one suite.
make_apt() { # make_apt FOLDER SUITE|'' ARCHITECTURE...
    apt=$1 suite=$2
    shift 2
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    cat >"$apt/apt.conf" <<END
#clear APT::Architectures;
#clear APT::Update;
APT::Architecture "$1";
APT::Architectures { $(for name in "$@"; do printf '"%s"; ' "$name"; done) };
APT::Sandbox::User "$(id -un)";
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
END
    [ "$suite" ] || return 0
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck disable=SC2016 # for apt
    server=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 '/debian/$') || return 1
    echo "deb [signed-by=$keys] $server $suite main" >"$apt/sources.list"
    printf '%s\n' "Dir::Etc::sourcelist \"$apt/sources.list\";" 'Dir::Etc::sourceparts "-";' >>"$apt/apt.conf"
}

# The apt-get or apt-cache of that folder.
apt_of() { # apt_of FOLDER get|cache ARGUMENTS...
    apt=$1 command=$2
    shift 2
    timeout 600 "apt-$command" -q -c "$apt/apt.conf" "$@"
}
