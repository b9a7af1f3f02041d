"""Runs all comparisons with other programs. run.sh builds the programs and starts it."""

import argparse
import os
import shutil
import sys

import burst
import distance
import follow
import idle
import latency
import serve
from lab import Failure, Lab, end_on_signals, say

PARTS = ["follow", "serve", "idle", "latency", "burst", "distance"]
# The commands that a part compares with, and their packages.
PACKAGES = {
    "follow": {"monit": "monit", "collectd": "collectd-core", "grep": "grep", "tail": "coreutils"},
    "idle": {"strace": "strace"},
    "burst": {"rsyslogd": "rsyslog"},
}


def options():
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures aa436 and ax436 beside other programs, on loopback only.")
    parser.add_argument("--programs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="small inputs, one round: shows that the scripts work, not how fast anything is")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run (%(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds of following, serving, burst and distance (5)")
    parser.add_argument("--lines", type=int, help="lines of the corpus (1000000, about 93 MB)")
    parser.add_argument("--seed", type=int, default=436, help="seed of the corpus and of the losses (%(default)s)")
    parser.add_argument("--events", help="events of serving, one or more numbers (50000,400000)")
    parser.add_argument("--window", type=int, default=64, help="events in flight (%(default)s)")
    parser.add_argument("--idle", type=int, help="seconds of idling (120)")
    parser.add_argument("--latencies", type=int, help="lines for the latency (50)")
    parser.add_argument("--burst", type=int, help="lines of a burst (1000000)")
    parser.add_argument("--length", type=int, default=80, help="bytes of each of them (%(default)s)")
    parser.add_argument("--rate", type=int, default=0, help="lines of it a second (all at once)")
    parser.add_argument("--relp", type=int, default=0, help="lines of a burst over RELP, which takes 5 minutes for a million (%(default)s)")
    parser.add_argument("--far", type=int, help="events of the distance (20000)")
    parser.add_argument("--delay", type=float, default=20, help="milliseconds each way (%(default)s)")
    parser.add_argument("--loss", default="0,1", help="percent of the datagrams that get lost, one or more numbers (%(default)s)")
    given = parser.parse_args()
    defaults = (1, 20_000, "5000", 5, 3, 20_000, 500) if given.quick else (5, 1_000_000, "50000,400000", 120, 50, 1_000_000, 20_000)
    for name, default in zip(("rounds", "lines", "events", "idle", "latencies", "burst", "far"), defaults):
        if getattr(given, name) is None:
            setattr(given, name, default)
    given.parts = given.only.split(",")
    given.counts = [int(count) for count in given.events.split(",")]
    given.losses = [float(loss) for loss in given.loss.split(",")]
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"--only knows {', '.join(PARTS)}, not {', '.join(unknown)}")
    numbers = [given.rounds, given.lines, given.idle, given.latencies, given.burst, given.far, given.window // serve.HOSTS, *given.counts]
    if min(numbers) < 1 or min(given.rate, given.relp, given.delay, *given.losses) < 0 or max(given.losses) > 50:
        parser.error(f"numbers must be above 0, the window at least {serve.HOSTS}, and a loss at most 50")
    return given


def name_missing(parts):
    """Says which programs are not compared, and how to install them."""
    wanted = [item for part in parts for item in PACKAGES.get(part, {}).items()]
    if missing := sorted(package for command, package in wanted if not shutil.which(command)):
        print(f"Not compared, because it is not installed: {', '.join(missing)}.\n", flush=True)
        say(f"As root: apt-get install --no-install-recommends {' '.join(missing)}   (or run.sh --install)")


def main():
    given = options()
    end_on_signals(300 if given.quick else 7200)
    name_missing(given.parts)
    programs = {name: os.path.abspath(os.path.join(given.programs, name)) for name in ("aa436", "ax436")}
    # The stream of a burst has its lines with about 200 bytes more.
    space = max(given.lines * 93 * 3 + max(given.counts) * 400, given.burst * (3 * given.length + 200))
    with Lab(programs, space) as lab:
        for part in given.parts:
            if part == "follow":
                follow.run(lab, given.lines, given.seed, given.rounds, ["regex", "digits"] if given.quick else None)
            elif part == "serve":
                serve.run(lab, given.counts, given.rounds, given.window)
            elif part == "idle":
                idle.run(lab, given.idle)
            elif part == "latency":
                latency.run(lab, given.latencies)
            elif part == "burst":
                burst.run(lab, given.burst, given.length, given.rate, given.rounds, given.relp)
            else:
                distance.run(lab, given.far, given.delay, given.losses, given.rounds, given.seed)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(f"bench: {failure}")
        sys.exit(1)
