"""Idle: ten followed files to which nothing is appended, and the heartbeats of one server."""

import os
import re
import shutil
import signal
import time

from lab import Failure, Site, say, table

FILES = 10
WAITS = {"poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2", "select", "pselect6"}


def run(lab, seconds):
    print(f"### Idle: {FILES} followed files and heartbeats, {seconds} s\n")
    site = Site(lab)
    rules = ""
    for number in range(FILES):
        log = os.path.join(site.folder, f"{number}.log")
        with open(log, "w", encoding="ascii") as file:
            file.write("an old line\n")
        rules += f"file: {log}\nmatch: error\nalert_all: tags=T\n"
    server, agent = site.pair("nas1", rules)
    programs = {"ax436": server, "aa436": agent}
    say("idle: settling")
    time.sleep(min(5, seconds))
    rows = []
    say(f"idle: {seconds} s")
    before = {name: reading(process) for name, process in programs.items()}
    began = time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - began
    after = {name: reading(process) for name, process in programs.items()}
    for name, process in programs.items():
        (cpu, wakes), (cpu_after, wakes_after) = before[name], after[name]
        calls = system_calls(lab, process, max(5, min(30, seconds)))
        rows.append([
            name, f"{(wakes_after - wakes) / lasted:.2f}", f"{(cpu_after - cpu) * 1000 * 120 / lasted:.2f}", calls, f"{process.status('VmRSS'):,}",
        ])
        if process.poll():
            raise Failure(f"{name} has ended")
    events = [event for event in site.events() if event[2] == "T"]
    if events:
        raise Failure(f"that was not idle: {events}")
    table(["program", "wake-ups a second", "CPU ms in 2 min", "system calls a wake-up", "resident KiB"], rows)
    return rows


def reading(process):
    return process.cpu(), process.status("voluntary_ctxt_switches")


def system_calls(lab, process, seconds):
    """System calls per wake-up, as strace counts them."""
    if not shutil.which("strace"):
        return "no strace"
    say(f"idle: counting system calls of {process.child.args[0]}, {seconds} s")
    output = lab.path("strace.output")
    tracer = lab.start(["strace", "-f", "-qq", "-c", "-U", "calls,name", "-o", output, "-p", str(process.id)])
    time.sleep(seconds)
    tracer.signal(signal.SIGINT)
    tracer.wait()
    counts = {}
    with open(output, encoding="ascii") as file:
        for line in file:
            if found := re.fullmatch(r"\s*(\d+)\s+(\w+)\s*", line):
                counts[found[2]] = int(found[1])
    counts.pop("total", None)
    waits = sum(count for name, count in counts.items() if name in WAITS)
    if not waits:
        return "not allowed to trace"
    return f"{(sum(counts.values()) - waits) / waits + 1:.1f}"
