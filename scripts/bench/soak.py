#!/usr/bin/env python3
"""Hours of trouble in minutes: logs grow, also by bursts, and are rotated in all ways while the network loses datagrams and the programs are
restarted and killed, also both while a burst arrives. Every line must be in the stream once, and memory and descriptors must not grow.
../checks/soak.sh starts it."""

import argparse
import collections
import gzip
import os
import random
import shutil
import signal
import sys
import tempfile
import time

# Leaves no compiled scripts in the folder.
sys.dont_write_bytecode = True

from lab import Failure, Lab, end_on_signals, free_port, say, table, until
from lossy import LossyNetwork

# How many times faster than the wall clock the clock of the programs runs.
SPEED = 10
HOST = "host"
# How many KiB a program may grow while it does the same all the time.
GROWTH = 256
# How many rotated files of a log may be unread. Logs rotate daily, and not while a burst is read.
UNREAD = 3
# Seconds between the arrival of a burst and the next, and how often both programs are killed while one arrives.
PAUSE, KILLS = 10, 3
TIMEOUT = 180


class Log:
    """A log with numbered lines, and the way in which it is rotated."""

    def __init__(self, folder, kind, rng):
        self.kind, self.random = kind, rng
        self.tags = kind.upper()
        self.folder = os.path.join(folder, kind)
        os.mkdir(self.folder)
        self.path = self.at("log")
        self.next, self.half, self.rotations = 1, "", 0
        self.arrived = collections.Counter()
        self.whole = 0
        # Rotated files that may still be unread, with the number of their last line.
        self.unread = []
        if kind == "link":
            os.symlink("target.0", self.path)
        self.append(self.path, "an old line\n")

    def at(self, name):
        return os.path.join(self.folder, name)

    def rule(self):
        path = self.at("lo[g]") if self.kind == "wildcard" else self.path
        return f"file: {path}\nmatch: ^line\nalert_all: tags={self.tags}\n"

    @staticmethod
    def append(path, text):
        with open(path, "a", encoding="ascii") as file:
            file.write(text)

    def lines(self, count):
        first, self.next = self.next, self.next + count
        return "".join(f"line {number} of {self.tags}\n" for number in range(first, self.next))

    def write(self, count):
        """Writes lines. Sometimes it writes only a part of the last one, and the rest next time."""
        text = self.half + self.lines(count)
        cut = len(text) - 5 if self.random.random() < 0.2 else len(text)
        self.half = text[cut:]
        self.append(self.path, text[:cut])

    def end_line(self):
        if self.half:
            self.append(self.path, self.half)
            self.half = ""

    def count(self, text):
        number = int(text.split()[1])
        if text != f"line {number} of {self.tags}" or number >= self.next:
            raise Failure(f"a line that nobody wrote: {text!r}")
        self.arrived[number] += 1
        while self.arrived[self.whole + 1]:
            self.whole += 1

    def is_whole(self):
        return self.whole == self.next - 1

    def faults(self):
        lost = [number for number in range(1, self.next) if not self.arrived[number]]
        doubled = [number for number, times in self.arrived.items() if times > 1]
        return lost, doubled

    def rotate(self):
        """Rotates the log, unless that would lose unread lines for any reader. Returns whether it did."""
        self.end_line()
        if not os.path.exists(self.path) or sum(last > self.whole for _, last in self.unread) >= UNREAD:
            return False
        if self.kind in ("regrow", "recreate") and not self.is_whole():
            return False
        if self.kind == "link" and self.unread and self.unread[-1][1] > self.whole:
            # A file that the link led to only between two reads has no name by which the agent could find it.
            return False
        getattr(self, "rotate_" + self.kind)()
        self.rotations += 1
        # What has arrived need not stay, but the file in which reading stopped: without it, only the times of files tell what came after,
        # and those are not of the clock that runs fast here.
        while len(self.unread) > 3 and self.unread[1][1] <= self.whole:
            name, _ = self.unread.pop(0)
            for path in (name, name + ".gz"):
                if os.path.exists(path):
                    os.remove(path)
        return True

    def rotated(self):
        """The name of a rotated file. The newest has the number 1."""
        self.unread = [(self.renamed(path), last) for path, last in self.unread]
        path = self.path + ".1"
        self.unread.append((path, self.next - 1))
        return path

    def renamed(self, path):
        base, _, number = path.rpartition(".")
        new = f"{base}.{int(number) + 1}"
        self.renames.append((path, new))
        return new

    def make_room(self):
        self.renames = []
        path = self.rotated()
        for old, new in self.renames:
            for ending in ("", ".gz"):
                if os.path.exists(old + ending):
                    os.rename(old + ending, new + ending)
        return path

    def rotate_rename(self):
        os.rename(self.path, self.make_room())

    def rotate_twice(self):
        for _ in range(2):
            self.rotate_rename()
            self.append(self.path, self.lines(3))

    def rotate_late(self):
        path = self.make_room()
        os.rename(self.path, path)
        self.append(self.path, self.lines(3))
        self.append(path, self.lines(3))
        self.unread[-1] = (path, self.next - 1)

    def rotate_copy(self):
        shutil.copyfile(self.path, self.make_room())
        os.truncate(self.path, 0)

    def rotate_date(self):
        path = f"{self.path}-{20260101 + self.rotations}"
        os.rename(self.path, path)
        self.unread.append((path, self.next - 1))

    def rotate_compress(self):
        """Compresses the rotated file before the newest."""
        os.rename(self.path, self.make_room())
        for path, last in self.unread[:-1]:
            if last < self.whole and os.path.exists(path):
                with open(path, "rb") as file, gzip.open(path + ".gz", "wb") as compressed:
                    shutil.copyfileobj(file, compressed)
                os.remove(path)

    def rotate_link(self):
        old, new = (f"target.{self.rotations + step}" for step in (0, 1))
        self.append(self.at(new), self.lines(3))
        self.unread.append((self.at(old), self.next - 1))
        os.symlink(new, self.at("new"))
        os.rename(self.at("new"), self.path)

    def rotate_regrow(self):
        self.outgrow(lambda: os.truncate(self.path, 0))

    def rotate_recreate(self):
        self.outgrow(lambda: os.remove(self.path))

    def outgrow(self, clear):
        size = os.path.getsize(self.path)
        text = self.lines(3)
        while len(text) <= size and self.next % 500:
            text += self.lines(1)
        clear()
        self.append(self.path, text)

    rotate_wildcard = rotate_rename

    def rotate_never(self):
        pass


KINDS = [name.removeprefix("rotate_") for name in dir(Log) if name.startswith("rotate_")]


class Pair:
    """A server and an agent with a lossy network between, and the logs that the agent follows."""

    def __init__(self, lab, name, rng):
        self.lab, self.name, self.random = lab, name, rng
        self.folder = lab.new_folder(name)
        near, far = free_port(), free_port()
        self.near = near
        self.network = LossyNetwork(near, far, rng.random())
        self.logs = {kind.upper(): Log(self.folder, kind, rng) for kind in KINDS}
        os.mkdir(os.path.join(self.folder, "hosts"))
        self.write("ax436.conf", f"event_stream: events.log\nport: {far}\nbroadcast: 127.0.0.1\nhosts: hosts\nevent_stream_size: 10000000000\n")
        self.write(f"hosts/{HOST}", "".join(log.rule() for log in self.logs.values()))
        self.at, self.rest, self.others = 0, b"", []
        self.server = self.agent = None
        self.ended = collections.Counter()
        # The log that had a burst, and its last line.
        self.burst = None
        self.start()
        until("the logs' beginnings", lambda: self.read() or sum(text.startswith("Following") for text in self.others) > len(KINDS))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
            file.write(text)

    def start(self):
        clock = {"PROJECT436_TEST_CLOCK": str(SPEED)}
        if not self.server:
            command = [self.lab.programs["ax436"], "-l", "ax436.log", "ax436.conf"]
            self.server = self.lab.start(command, cwd=self.folder, more_environment=clock)
        if not self.agent:
            command = [self.lab.programs["aa436"], "-l", "aa436.log", "-n", HOST, "-s", "127.0.0.1", str(self.near)]
            self.agent = self.lab.start(command, cwd=self.folder, more_environment=clock)

    def end(self, which, number):
        process = getattr(self, which)
        if not process:
            return
        process.signal(number)
        status = process.wait()
        if status != (0 if number == signal.SIGTERM else -number):
            raise Failure(f"{self.name}: {which} ended with {status}")
        setattr(self, which, None)
        self.lab.processes.remove(process)
        self.ended[f"{which} {'terminated' if number == signal.SIGTERM else 'killed'}"] += 1

    def check(self):
        for which in ("server", "agent"):
            process = getattr(self, which)
            if process and process.poll():
                raise Failure(f"{self.name}: {which} has ended by itself with {process.child.returncode}")

    def read(self):
        """Reads what is new in the stream."""
        try:
            with open(os.path.join(self.folder, "events.log"), "rb") as file:
                file.seek(self.at)
                new = file.read()
        except FileNotFoundError:
            return
        self.at += len(new)
        *whole, self.rest = (self.rest + new).split(b"\n")
        for line in whole:
            *_, tags, _, text = line.decode().split("%%", 6)
            if tags in self.logs:
                self.logs[tags].count(text)
            else:
                self.others.append(text)

    def step(self):
        self.read()
        for log in self.logs.values():
            if self.random.random() < 0.08:
                log.write(300 if self.random.random() < 0.005 else self.random.randrange(1, 5))
            if self.random.random() < 0.004:
                log.rotate()

    def write_burst(self, lines):
        log = self.random.choice(list(self.logs.values()))
        log.write(lines)
        self.burst = log, log.next - 1

    def awaits_burst(self):
        """Whether a burst was written of which a line has not arrived."""
        return self.burst is not None and self.burst[0].whole < self.burst[1]

    def written(self):
        return sum(log.next - 1 for log in self.logs.values())

    def arrived(self):
        return sum(len(+log.arrived) for log in self.logs.values())

    def is_whole(self):
        self.read()
        return all(log.is_whole() for log in self.logs.values())

    def memory(self):
        """Resident KiB and descriptors of both programs, if they run."""
        both = (self.agent, self.server)
        return [number for process in both for number in ((process.status("VmRSS"), process.open_files()) if process else ("", ""))]


class Trouble:
    """The trouble of two pairs: with the network and the bursts of both, and with the programs of one."""

    def __init__(self, steady, harried, burst, rng):
        self.steady, self.harried, self.burst, self.random = steady, harried, burst, rng
        self.next_weather = self.next_end = self.next_start = 0
        self.next_burst, self.under_way, self.kills = PAUSE / 2, False, 0
        self.outages = self.bursts = self.killed_in_bursts = 0

    def step(self, now):
        if now >= self.next_weather:
            # 100 is an outage: up to a minute of the programs' time.
            percent = self.random.choice([0, 10, 30, 30, 100])
            self.outages += percent == 100
            for pair in (self.steady, self.harried):
                pair.network.percent = percent
            self.next_weather = now + self.random.uniform(2, 6)
        self.step_burst(now)
        if now >= self.next_start:
            self.harried.start()
        if now >= self.next_end:
            self.end_programs(now)

    def step_burst(self, now):
        if self.under_way:
            if not self.steady.awaits_burst() and not self.harried.awaits_burst():
                self.under_way, self.next_burst = False, now + PAUSE
        elif self.burst and now >= self.next_burst:
            self.under_way, self.kills = True, KILLS
            self.bursts += 1
            for pair in (self.steady, self.harried):
                pair.write_burst(self.burst)
            self.next_end = now + self.random.uniform(0.02, 0.3)

    def end_programs(self, now):
        if self.kills and self.harried.awaits_burst():
            if self.harried.server and self.harried.agent:
                self.kills -= 1
                self.killed_in_bursts += 1
            for which in ("server", "agent"):
                self.harried.end(which, signal.SIGKILL)
            self.next_start = now
            self.next_end = now + self.random.uniform(0.1, 1)
            return
        number = self.random.choice([signal.SIGTERM, signal.SIGKILL])
        for which in self.random.choice([["server"], ["agent"], ["server", "agent"]]):
            self.harried.end(which, number)
        self.next_start = now + self.random.choice([0, 0, 1, 3, 8])
        self.next_end = self.next_start + self.random.uniform(1, 10)


def soak(lab, minutes, seed, burst):
    rng = random.Random(seed)
    steady, harried = (Pair(lab, name, rng) for name in ("steady", "harried"))
    pairs, trouble, rows = (steady, harried), Trouble(steady, harried, burst, rng), []
    began, seconds, next_row = time.monotonic(), minutes * 60, 0
    first = steady.memory()
    while (now := time.monotonic() - began) < seconds:
        trouble.step(now)
        for pair in pairs:
            pair.step()
            pair.check()
        if now >= next_row:
            rows.append([f"{now / 60:.1f}", *(f"{number:,}" for pair in pairs for number in (pair.written(), pair.arrived())), *steady.memory(), *harried.memory()])
            next_row += seconds / 12
            if now <= seconds / 5:
                # Memory that is taken once is not growth. The descriptors of the start are those that stay.
                first[0::2] = steady.memory()[0::2]
        time.sleep(0.02)
    say("soak: waiting for what is on its way")
    harried.start()
    for pair in pairs:
        pair.network.percent = 0
        for log in pair.logs.values():
            log.end_line()
    last = time.monotonic()
    while not all(pair.is_whole() for pair in pairs) and time.monotonic() < last + TIMEOUT:
        time.sleep(0.1)
    took = time.monotonic() - last
    # Until the agent has closed rotated files, and any duplicate has arrived.
    time.sleep(90 / SPEED)
    rows.append(["end", *(f"{number:,}" for pair in pairs for number in (pair.written(), pair.arrived())), *steady.memory(), *harried.memory()])
    return report(pairs, trouble, rows, first, took)


def report(pairs, trouble, rows, first, took):
    """Prints the result and returns whether all is well."""
    head = ["min", *(f"{pair.name} {what}" for pair in pairs for what in ("written", "arrived"))]
    head += [f"{pair.name} {which} {what}" for pair in pairs for which in ("agent", "server") for what in ("KiB", "files")]
    table(head, rows)
    well = True
    for pair in pairs:
        pair.read()
        rotations = sum(log.rotations for log in pair.logs.values())
        ended = ", ".join(f"{what} {times} times" for what, times in sorted(pair.ended.items())) or "never ended"
        print(f"{pair.name}: {pair.written():,} lines, {rotations} rotations, {sum(pair.network.lost):,} datagrams lost, {ended}")
        for log in pair.logs.values():
            lost, doubled = log.faults()
            if lost or doubled:
                well = False
                print(f"FAULT {pair.name}, {log.kind}: {len(lost)} lines lost {lost[:10]}, {len(doubled)} doubled {doubled[:10]}")
        for text in pair.others:
            if any(word in text for word in ("missing", "unread", "dropped", "given up")):
                print(f"{pair.name} reported: {text}")
    print(f"{trouble.bursts} bursts of {trouble.burst:,} lines for each pair; both of harried killed {trouble.killed_in_bursts} times meanwhile")
    if trouble.bursts >= 3 and not trouble.killed_in_bursts:
        well = False
        print("FAULT no burst was interrupted: all arrived too soon. Take a larger --burst")
    print(f"{trouble.outages} outages; what was on its way at the end took {took:.1f} s")
    for name, before, after, most in zip(("agent KiB", "agent files", "server KiB", "server files"), first, pairs[0].memory(), (GROWTH, 0, GROWTH, 0)):
        if after > before + most:
            well = False
            print(f"FAULT steady {name}: {before} became {after}")
    return well


def main():
    parser = argparse.ArgumentParser(prog="soak.sh", description=__doc__)
    parser.add_argument("--programs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="repeats the choices of another run")
    parser.add_argument("--burst", type=int, default=20_000, help="lines that are written at once, again and again (%(default)s; 0: never)")
    parser.add_argument("minutes", nargs="?", type=float, default=2, help="how long (%(default)s)")
    given = parser.parse_args()
    end_on_signals(int(given.minutes * 60) + 2 * TIMEOUT + 60)
    programs = {name: os.path.join(given.programs, name) for name in ("aa436", "ax436")}
    print(f"{given.minutes:g} minutes of trouble, {SPEED} times faster for the programs; --seed {given.seed}\n", flush=True)
    # Not in memory: there an inode is never reused.
    with Lab(programs, space=1 << 60) as lab:
        well = soak(lab, given.minutes, given.seed, given.burst)
        if not well:
            left = os.path.join(tempfile.gettempdir(), f"436-soak-{os.getpid()}")
            print(f"Left for inspection: {shutil.copytree(lab.folder, left, symlinks=True)}")
    print("ok: every line arrived once" if well else "NOT WELL")
    return 0 if well else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"soak.sh: {failure}")
