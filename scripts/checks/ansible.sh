#!/bin/sh
# Checks examples/ansible: ansible-lint finds nothing, and the playbook installs a server and three agents on devices with systemd, System V init
# and OpenRC, over ssh. Run again it changes nothing; it upgrades while lines are written; a program that does not run is not installed; and it
# takes the agents away. ansible-core and ansible-lint come from PyPI.
#   scripts/checks/ansible.sh [--lint]      only ansible-lint
# Needs root, dist/x86_64-unknown-linux-musl, Python 3.11 or newer with venv, and debootstrap, iproute2 and openssh-client on Debian. The roots of
# the devices are made once, in target/. Status 77: this system does not allow it.
set -eu
if [ "${1:-}" != --inside ]; then cd "$(dirname "$0")/../.."; fi
. scripts/lib/checking.sh
. scripts/lib/devices.sh
logs=''
# The versions that this was tested with.
CORE=ansible-core==2.19.14 LINT=ansible-lint==26.10.1
export NO_COLOR=1
tools=${CARGO_TARGET_DIR:-target}/ansible
target=x86_64-unknown-linux-musl

make_tools() {
    [ ! -f "$tools/$CORE-$LINT" ] || return 0
    rm -rf "$tools"
    python3 -m venv "$tools" || fail "Python and its venv are missing. On Debian: apt-get install python3-venv"
    "$tools/bin/pip" install --quiet "$CORE" "$LINT" || fail "pip could not install $CORE and $LINT"
    touch "$tools/$CORE-$LINT"
}

lint() { (cd examples/ansible && ansible-lint --offline --strict --profile production) || fail "ansible-lint"; }

if [ "${1:-}" != --inside ]; then
    make_tools
    PATH=$(cd "$tools/bin" && pwd):$PATH
    lint
    [ "${1:-}" != --lint ] || exit 0
    [ -x dist/$target/ax436 ] || fail "dist/$target is missing: scripts/build-all.sh $target"
    run_inside scripts/checks/ansible.sh
fi
folder=$2 roots=$3
export ANSIBLE_HOME="$folder/ansible" ANSIBLE_NOCOLOR=1 ANSIBLE_LOCALHOST_WARNING=False ANSIBLE_PIPELINING=True
ok() { echo "ok: $*"; }

make_network
start_device pi systemd 2
start_device web openrc 3
start_device nas sysvinit 4
stream=$folder/pi/srv/436/events.log
logs="$folder/faults $stream"

# The inventory of the example on these devices, which ssh knows by their names. As there, nas has no sudo; web's wants a password.
sed '/ansible_host:/d; s/^\( *\)ansible_user: admin/&\n\1ansible_become_password: se cret/' examples/ansible/inventory.yml >"$folder/inventory.yml"
rm "$folder/nas/usr/bin/sudo"
mkdir "$folder/hosts"
printf '%s\n' 'journal:' 'match: line ([0-9]+)' 'alert_all: tags=LINE' 'run: command=uname -n extract=^(pi)' 'alert_metric: tags=COMMAND match=1,pi metric=1' >"$folder/hosts/pi"
printf '%s\n' 'file: /var/log/app.log' 'match: line ([0-9]+)' 'alert_all: tags=LINE' | tee "$folder/hosts/web" >"$folder/hosts/nas"
cp -r dist "$folder/dist"

# Runs the playbook. What it says is in $folder/said, and what has failed in $folder/faults.
play() {
    status=0
    # shellcheck disable=SC2046 # The variables of these devices.
    (cd examples/ansible && timeout 600 ansible-playbook -i "$folder/inventory.yml" site.yml -e "ax436_hosts=$folder/hosts/ ax436_includes=$PWD/../includes_436/" \
        -e "aa436_dist=$folder/dist ax436_dist=$folder/dist" "$@") >"$folder/said" 2>&1 || status=$?
    grep -E '^(fatal|failed): ' "$folder/said" >"$folder/faults" || true
    return $status
}

# Whether the recap has these words for each of the hosts.
recap() { # recap WORDS HOST...
    words=$1
    shift
    for host in "$@"; do grep -Eq "^$host +: .*$words" "$folder/said" || fail "$host has not $words: $(grep "^$host " "$folder/said")"; done
}

agent() { ssh "root@$1" 'pidof aa436' 2>/dev/null; }
options() { ssh "root@$1" 'tr "\0" " " </proc/$(pidof aa436)/cmdline'; }
write() { # write NUMBER
    echo "line $1" | ssh root@pi logger
    for host in web nas; do echo "line $1" >>"$folder/$host/var/log/app.log"; done
}
lines() { events $((3 * $1)) '%%LINE%%'; }

touch "$folder/web/var/log/app.log" "$folder/nas/var/log/app.log"
play || fail "the first run"
recap 'changed=[1-9].* unreachable=0 .*failed=0' pi web nas
ok "the playbook installs a server and three agents"
for host in pi web nas; do within_a_minute "$host has its configuration" events 1 "%%$host%%.*in force: [12] rule"; done
within_a_minute "with a key, the agent runs commands" events 1 '%%COMMAND%%NULL%%pi'
for host in pi web nas; do
    [ "$(ssh root@$host stat -c %a-%U /etc/aa436.key)" = 600-root ] || fail "others can read the key of $host"
    case "$(options $host) " in *" -n $host -k /etc/aa436.key 4360 "*) ;; *) fail "the agent of $host runs as: $(options $host)" ;; esac
done
[ "$(ssh root@pi 'stat -c %a-%U /srv/436/keys; systemctl is-enabled aa436 ax436' | tr '\n' ' ')" = '600-root enabled enabled ' ] || fail "keys, units"
write 1
within_a_minute "a line of each host" lines 1

play || fail "the second run"
recap 'changed=0 .*failed=0' pi web nas
ok "the second run changes nothing"
play --check --diff || fail "a dry run"
recap 'changed=0 .*failed=0' pi web nas
ok "nor would a dry run"

# Bytes behind a program change nothing that it does.
before="$(agent pi) $(agent web) $(agent nas)"
options=$(cat "$folder"/*/etc/default/aa436 "$folder"/*/etc/conf.d/aa436)
printf 'newer' >>"$folder/dist/$target/aa436"
(for number in $(seq 2 30); do write "$number"; sleep 0.5; done) &
writer=$!
play || fail "the upgrade"
recap 'changed=[1-9].*failed=0' pi web nas
wait $writer
for host in pi web nas; do
    cmp -s "$folder/dist/$target/aa436" "$folder/$host/usr/local/bin/aa436" || fail "$host has the old program"
    case " $before " in *" $(agent $host) "*) fail "the agent of $host was not started again" ;; esac
done
[ "$(cat "$folder"/*/etc/default/aa436 "$folder"/*/etc/conf.d/aa436)" = "$options" ] || fail "the upgrade changed options"
within_a_minute "every line of before, during and after the upgrade" lines 30
[ "$(grep -c '%%LINE%%' "$stream")" = 90 ] || fail "a line came twice"

# A program that does not run there leaves what is there as it is.
before="$(agent pi) $(agent web) $(agent nas)"
cp -r "$folder/dist" "$folder/broken"
head -c 1000 "$folder/dist/$target/aa436" >"$folder/broken/$target/aa436"
if play --limit web,nas -e "aa436_dist=$folder/broken"; then fail "a program that does not run was installed"; fi
grep -q 'does not run on this host. What was there stays' "$folder/said" || fail "it does not say why"
[ "$(agent pi) $(agent web) $(agent nas)" = "$before" ] || fail "an agent was started again"
for host in pi web nas; do
    cmp -s "$folder/dist/$target/aa436" "$folder/$host/usr/local/bin/aa436" || fail "$host has the broken program"
    [ ! -e "$folder/$host/usr/local/bin/aa436.new" ] || fail "$host still has its copy of the broken program"
done
ok "a program that does not run is not installed"
if play --limit nas -e "aa436_dist=$folder/nowhere"; then fail "a folder without programs"; fi
grep -q "nowhere/$target/aa436 is missing: scripts/build-all.sh $target" "$folder/said" || fail "it does not say what is missing"
# shellcheck disable=SC2016
if play --limit nas -e '{"aa436_options": "-n $(reboot)"}'; then fail "a command among the options"; fi
grep -q 'The options have a quote' "$folder/said" || fail "it does not say what is wrong with the options"
ok "bad variables are named"

play -e aa436_state=absent || fail "removal"
recap 'changed=[1-9].*failed=0' pi web nas
for host in pi web nas; do
    [ -z "$(agent $host)" ] || fail "the agent of $host runs"
    left=$(ssh root@$host "find / -xdev -name '*aa436*'")
    [ -z "$left" ] || fail "$host still has $left"
done
ok "removal leaves nothing"
play -e aa436_state=absent || fail "the second removal"
recap 'changed=0 .*failed=0' pi web nas
echo "All passed"
