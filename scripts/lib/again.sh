# Sourced by checks that build a target a second time, in another folder, and compare the programs with those in dist/. checking.sh comes first.
# shellcheck shell=sh

# What git would store, so that the two builds are of the same files, and not what is in the folders of results.
copy_sources() { # copy_sources FOLDER
    git ls-files --cached --others --exclude-standard | tar -c --files-from=- --ignore-failed-read 2>/dev/null | tar -x -C "$1"
}

# The copy is no repository: it does not know its commit. That of the programs in dist/, as far as they run here.
tell_commit() { # tell_commit TARGET
    PROJECT436_COMMIT=$("dist/$1/aa436" -V 2>/dev/null | sed -n 's/.*(\(.*\), .*/\1/p')
    [ -n "$PROJECT436_COMMIT" ] || PROJECT436_COMMIT=$(git describe --always --abbrev=12 --exclude='*' --dirty=+)
    export PROJECT436_COMMIT
}

same_programs() { # same_programs TARGET FOLDER WHERE
    for program in aa436 ax436; do
        cmp "dist/$1/$program" "$2/dist/$1/$program" || fail "$program of $1 differs $3"
    done
}
