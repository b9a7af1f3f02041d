#!/usr/bin/env python3
"""Memory of the agent over an hour of its clock, with the example configuration: log lines, commands, a burst, a server that is away.

    memory.py [--programs FOLDER] [--speed N] [--burst LINES] [--idle-limit KIB] [--limit KIB]

Fails when a line is lost, when the agent has more than --idle-limit KiB resident once its configuration is in force, when it has more than
--limit KiB at the end of any part after which no events wait for the server, or when it grows."""

import argparse
import os
import re
import sys
import time

# Leaves no compiled scripts in the folder.
sys.dont_write_bytecode = True

from lab import Failure, Lab, Site, end_on_signals, say, table, until

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "examples")
# The idle limit counts the pages of the program's file too, about 520 KiB on x86_64: they are the larger part.
# REMAINS: the KiB of anonymous memory that may stay after a burst and an outage: pages that the allocator keeps, pages in partial use, a stack
# that was once deeper. GROWTH: what may come after that, for memory that is taken and given back all the time.
REMAINS, GROWTH = 48, 16


class Hour:
    """An agent with a clock that runs so many times faster, and the logs that it follows."""

    def __init__(self, lab, speed):
        self.lab, self.speed, self.rows, self.most = lab, speed, [], 0
        clock = ["env", f"PROJECT436_TEST_CLOCK={speed}"]
        self.site = Site(lab, "event_stream_size: 1000000000\n")
        self.site.start = lambda program, *arguments: lab.start(
            [*clock, lab.programs[program], "-l", f"{program}.log", *arguments], cwd=self.site.folder
        )
        self.logs = [os.path.join(self.site.folder, name) for name in ("syslog", "auth.log", "demo.log")]
        for log in self.logs:
            with open(log, "w", encoding="ascii"):
                pass
        self.server, self.agent = self.site.pair("demo", self.rules())
        self.began = time.monotonic()
        self.written, self.number = {}, 0

    def rules(self):
        """The rules of the example host, with the logs of this folder."""
        with open(os.path.join(EXAMPLES, "hosts_436", "demo"), encoding="utf-8") as file:
            text = file.read()
        for name in ("linux_logs", "linux_system", "linux_processes"):
            with open(os.path.join(EXAMPLES, "includes_436", name), encoding="utf-8") as file:
                self.site.write(f"includes/{name}", file.read().replace("/var/log/", self.site.folder + "/"))
        return text.replace("file: demo.log", f"file: {self.logs[2]}")

    def write(self, count, matching):
        """Appends lines as they occur in syslogs. The given share of them match, so that each makes an event."""
        lines = []
        for _ in range(count):
            self.number += 1
            if self.number % 100 < matching * 100:
                lines.append(f"Nov 22 11:35:36 nas kernel: [{self.number}] sda: I/O error, number {self.number}.\n")
                self.written[self.number] = True
            else:
                lines.append(f"Nov 22 11:35:36 nas daemon[{self.number}]: nothing of interest happened, as ever\n")
        with open(self.logs[0], "a", encoding="ascii") as file:
            file.write("".join(lines))
        with open(self.logs[1], "a", encoding="ascii") as file:
            file.write(f"Nov 22 11:35:36 nas sshd[{self.number}]: Failed password for root from 10.0.0.1\n" * (count // 50))

    def all_arrived(self):
        arrived = [number_of(text) for _, _, tags, text in self.site.events() if tags == "KERNEL"]
        if len(arrived) != len(set(arrived)):
            raise Failure("an event is in the stream twice")
        return len(arrived) == len(self.written)

    def work(self, minutes, matching=0.02):
        """Works for so many minutes of the agent's clock, with about one line a second."""
        until_then = time.monotonic() + minutes * 60 / self.speed
        while time.monotonic() < until_then:
            self.write(50, matching)
            time.sleep(50 / self.speed)

    def measure(self, what, waiting=False):
        memory, own = resident(self.agent.id)
        minute = (time.monotonic() - self.began) * self.speed / 60
        self.rows.append([f"{minute:.0f}", what, memory, own, self.agent.peak()])
        if not waiting:
            self.most = max(self.most, memory)
        say(f"memory: minute {minute:.0f}, {what}: {memory} KiB")
        return own


def number_of(text):
    return int(re.search(r"number (\d+)\.", text)[1])


def resident(process):
    """Resident and anonymous KiB. The kernel counts the pages one by one for this; VmRSS lags behind on new kernels."""
    with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
        counts = dict(line.split()[:2] for line in file if line.endswith("kB\n"))
    return int(counts["Rss:"]), int(counts["Anonymous:"])


def run(lab, speed, burst, idle_limit, limit):
    hour = Hour(lab, speed)
    hour.work(1)
    hour.measure("the configuration is in force")
    idle = hour.most
    hour.work(20)
    until("the events of steady work", hour.all_arrived)
    steady = hour.measure("log lines, commands, processes")
    hour.write(burst, 1)
    until("the events of the burst", hour.all_arrived, 600)
    hour.work(2)
    hour.measure(f"a burst of {burst:,} matching lines, all arrived")
    hour.server.end()
    hour.work(10, matching=0.5)
    hour.measure("the server away for 10 minutes, every other line matching", waiting=True)
    hour.server = hour.site.server()
    until("the events of the time without a server", hour.all_arrived, 120)
    hour.work(1)
    back = hour.measure("the server back, all arrived")
    hour.work(max(0, 60 - (time.monotonic() - hour.began) * speed / 60))
    until("the events of the last part", hour.all_arrived)
    last = hour.measure("an hour: log lines, commands, processes")
    table(["minute", "after", "resident KiB", "of that not of the file, KiB", "most ever, KiB"], hour.rows)
    print(f"\nEvents of log lines: {len(hour.written):,} written, {len(hour.written):,} in the stream, each once.")
    if idle > idle_limit:
        raise Failure(f"idle, more than {idle_limit} KiB: {idle}")
    if hour.most > limit:
        raise Failure(f"more than {limit} KiB: {hour.most}")
    if last > min(steady + REMAINS, back + GROWTH):
        raise Failure(f"it has grown from {steady} to {back} and {last} KiB, the program's file not counted")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=os.path.join(HERE, "..", "..", "dist", "x86_64-unknown-linux-musl"))
    parser.add_argument("--speed", type=int, default=60)
    parser.add_argument("--burst", type=int, default=100_000)
    parser.add_argument("--idle-limit", type=int, default=800)
    parser.add_argument("--limit", type=int, default=832)
    options = parser.parse_args()
    programs = {name: os.path.abspath(os.path.join(options.programs, name)) for name in ("aa436", "ax436")}
    end_on_signals(3600 // options.speed + 900)
    try:
        with Lab(programs) as lab:
            run(lab, options.speed, options.burst, options.idle_limit, options.limit)
    except Failure as failure:
        print(f"memory.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
