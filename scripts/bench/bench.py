"""Runs all comparisons with other programs. run.sh builds the programs and starts it."""

import argparse
import os
import shutil
import sys

import follow
import idle
import latency
import serve
from lab import Failure, Lab, end_on_signals, say

PARTS = ["follow", "serve", "idle", "latency"]
PACKAGES = {"monit": "monit", "collectd": "collectd-core", "strace": "strace", "grep": "grep", "tail": "coreutils"}


def options():
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures aa436 and ax436 beside other programs, on loopback only.")
    parser.add_argument("--programs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="small inputs, one round: shows that the scripts work, not how fast anything is")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run (%(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds of following and serving (5)")
    parser.add_argument("--lines", type=int, help="lines of the corpus (1000000, about 93 MB)")
    parser.add_argument("--seed", type=int, default=436, help="seed of the corpus (%(default)s)")
    parser.add_argument("--events", help="events of serving, one or more numbers (50000,400000)")
    parser.add_argument("--window", type=int, default=64, help="events in flight (%(default)s)")
    parser.add_argument("--idle", type=int, help="seconds of idling (120)")
    parser.add_argument("--latencies", type=int, help="lines for the latency (50)")
    given = parser.parse_args()
    defaults = (1, 20_000, "5000", 5, 3) if given.quick else (5, 1_000_000, "50000,400000", 120, 50)
    for name, default in zip(("rounds", "lines", "events", "idle", "latencies"), defaults):
        if getattr(given, name) is None:
            setattr(given, name, default)
    given.parts = given.only.split(",")
    given.counts = [int(count) for count in given.events.split(",")]
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"--only knows {', '.join(PARTS)}, not {', '.join(unknown)}")
    if min(given.rounds, given.lines, given.idle, given.latencies, given.window // serve.HOSTS, *given.counts) < 1:
        parser.error(f"numbers must be above 0, and the window at least {serve.HOSTS}")
    return given


def main():
    given = options()
    end_on_signals(110 if given.quick else 3600)
    missing = sorted(package for command, package in PACKAGES.items() if not shutil.which(command))
    if missing:
        print(f"Not compared, because it is not installed: {', '.join(missing)}.\n", flush=True)
        say(f"As root: apt-get install --no-install-recommends {' '.join(missing)}   (or run.sh --install)")
    programs = {name: os.path.join(given.programs, name) for name in ("aa436", "ax436")}
    space = given.lines * 93 * 3 + max(given.counts) * 400
    with Lab(programs, space) as lab:
        for part in given.parts:
            if part == "follow":
                follow.run(lab, given.lines, given.seed, given.rounds, ["regex", "digits"] if given.quick else None)
            elif part == "serve":
                serve.run(lab, given.counts, given.rounds, given.window)
            elif part == "idle":
                idle.run(lab, given.idle)
            else:
                latency.run(lab, given.latencies)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(f"bench: {failure}")
        sys.exit(1)
