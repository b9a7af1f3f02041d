#!/usr/bin/env python3
"""How cost grows with the number of events, rules of a file, files, and agents, over three orders of magnitude each. Prints Markdown, and
writes a plot to the path that --svg gives."""

import argparse
import os
import shutil
import subprocess
import sys
import time

# Leaves no compiled scripts in the folder.
sys.dont_write_bytecode = True

import corpus
import serve
from agents import Agents, longest_silence
from lab import Failure, Lab, Site, end_on_signals, median, say, table, until
from plot import svg

LINES = 200_000
SECTIONS = [
    ("Events", "The server accepts ALERTs from 10 hosts, 64 in flight. The script counts all of them in the stream."),
    ("Rules", "The agent reads lines that are appended to one file. Each rule on that file searches for a literal of its own."),
    ("Files", "The agent follows files to which nothing is appended."),
    (
        "Agents",
        "The server has a file for each host. Each file includes the same ten rules. \"Idle\" is the cost of looking for changed files. Then each"
        " agent sends one keepalive, as it does every minute. Then the included file changes for all hosts at once.",
    ),
]


def events(lab, sizes, _):
    """CPU for each event."""
    load = lab.compile("load.c")
    rows, line = [], []
    for count in sizes:
        rounds = 5 if count < 10_000 else 1
        say(f"growth: {count} events")
        results = [serve.measure_ax436(lab, [load, serve.HOSTS, 64, count, serve.NAME]) for _ in range(rounds)]
        cpu = median([cpu for cpu, *_ in results]) * 1e6
        speed = median([count / max(seconds, 0.001) for _, seconds, *_ in results])
        rows.append([f"{count:,}", f"{cpu:.2f}", f"{speed:,.0f}", f"{max(memory for *_, memory in results):,}"])
        line.append((count, cpu))
    table(["events", "server's CPU µs an event", "events a second", "server's peak KiB"], rows)
    return "Events that come in", "events", "CPU µs an event", [("", line)]


def rules(lab, sizes, quick):
    """CPU for the lines of one log. One of the rules matches the last line, which shows that everything was read."""
    source = lab.path("corpus.log")
    size = corpus.write(source, LINES // 10 if quick else LINES, 436) / 1e6
    rows, line = [], []
    for count in sizes:
        say(f"growth: {count} rules")
        site = Site(lab)
        log = os.path.join(site.folder, "followed.log")
        open(log, "w", encoding="ascii").close()
        groups = [f"file: {log}\nmatch: fault number {n:04}\nalert_count: tags=COUNT seconds=3600\n" for n in range(count - 1)]
        server, agent = site.pair_at_once("nas1", "".join(groups) + f"file: {log}\nmatch: last.4711.: error\nalert_all: tags=LAST\n")
        until("the agent opens the file", lambda agent=agent, log=log: agent.has_open(log))
        before = agent.cpu()
        with open(source, "rb") as text, open(log, "ab") as followed:
            shutil.copyfileobj(text, followed, 1 << 22)
        until("the last line", lambda site=site: any(tags == "LAST" for _, _, tags, _ in site.events()), 120, 0.02)
        cpu = (agent.cpu() - before) * 1000
        rows.append([f"{count:,}", f"{cpu:.1f}", f"{cpu / size / count:.3f}", f"{agent.peak():,}"])
        line.append((count, cpu))
        agent.end()
        server.end()
        shutil.rmtree(site.folder)
    os.remove(source)
    table(["rules of a file", f"agent's CPU ms for {size:.0f} MB", "CPU ms a rule and MB", "agent's peak KiB"], rows)
    return f"Rules of one file, for {size:.0f} MB", "rules, each with another literal", "CPU ms", [("", line)]


def files(lab, sizes, quick):
    """CPU of an agent that follows files to which nothing is appended."""
    seconds = 2 if quick else 12
    rows, line = [], []
    for count in sizes:
        say(f"growth: {count} files")
        site = Site(lab)
        logs = [os.path.join(site.folder, f"{n}.log") for n in range(count)]
        for log in logs:
            open(log, "w", encoding="ascii").close()
        server, agent = site.pair_at_once("nas1", "".join(f"file: {log}\nmatch: error\nalert_all: tags=T\n" for log in logs))
        time.sleep(2)
        before, wakes, began = agent.cpu(), agent.status("voluntary_ctxt_switches"), time.monotonic()
        time.sleep(seconds)
        lasted = time.monotonic() - began
        cpu = (agent.cpu() - before) / lasted * 60_000
        wakes = (agent.status("voluntary_ctxt_switches") - wakes) / lasted
        # A line in the last file shows that all of them are followed.
        with open(logs[-1], "a", encoding="ascii") as log:
            log.write("an error\n")
        until("the line of the last file", lambda site=site: any(tags == "T" for _, _, tags, _ in site.events()))
        rows.append([f"{count:,}", f"{cpu:.2f}", f"{wakes:.2f}", f"{agent.status('VmRSS'):,}"])
        line.append((count, cpu))
        agent.end()
        server.end()
        shutil.rmtree(site.folder)
    table(["followed files", "agent's CPU ms a minute, idle", "wake-ups a second", "agent's resident KiB"], rows)
    return "Followed files, nothing added", "files", "CPU ms a minute", [("", line)]


def agents(lab, sizes, quick):
    """What hosts cost the server: each has a session, a keepalive a minute, and a host file that includes the same ten rules."""
    seconds = 2 if quick else 8
    rows, scans, lives = [], [], []
    for count in sizes:
        say(f"growth: {count} agents")
        site = Site(lab)
        site.write("includes/common", include("error"))
        names = [f"host{n}" for n in range(count)]
        for name in names:
            site.write(f"hosts/{name}", "include: common\n")
        began = time.monotonic()
        server = site.server()
        peers = Agents(site.port + 1, names[-1:])
        peers.join()
        start = time.monotonic() - began
        peers.close()

        peers = Agents(site.port + 1, names)
        peers.join()
        if any(revision == "none" for revision in peers.revisions.values()):
            raise Failure("the server does not know all hosts")
        before, began = server.cpu(), time.monotonic()
        time.sleep(seconds)
        scan = (server.cpu() - before) / (time.monotonic() - began)
        before = server.cpu()
        peers.alive()
        life = (server.cpu() - before) / count
        stall = longest_silence(site.port + 1, 4, lambda site=site: site.write("includes/common", include("fault")))
        before = dict(peers.revisions)
        peers.join()
        if any(before[name] == revision for name, revision in peers.revisions.items()):
            raise Failure("the changed include did not reach all hosts")
        peers.close()
        rows.append([
            f"{count:,}", f"{start:.2f}", f"{server.peak():,}", f"{scan * 100:.2f}", f"{life * 1e6:.1f}", f"{stall * 1000:.0f}",
        ])
        scans.append((count, scan * 60_000))
        lives.append((count, life * count * 1000))
        server.end()
        shutil.rmtree(site.folder)
    table(["agents", "start, s", "server's peak KiB", "idle, % of a core", "CPU µs a keepalive", "longest silence after the change, ms"], rows)
    return "Agents, with a file each", "agents", "server's CPU ms a minute", [("looking for changed files", scans), ("keepalives", lives)]


def include(word):
    return "".join(f"file: /var/log/app{n}\nmatch: {word} {n}\nalert_all: tags=APP{n}\n" for n in range(10))


def build():
    """Builds both programs. Returns their folder."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=root, check=True)
    return os.path.join(root, os.environ.get("CARGO_TARGET_DIR", "target"), "release")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", help="the folder of both programs; by default they are built")
    parser.add_argument("--svg", help="where the plot goes")
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes only: shows that the script works")
    given = parser.parse_args()
    folder = os.path.abspath(given.programs) if given.programs else build()
    programs = {name: os.path.join(folder, name) for name in ("aa436", "ax436")}
    end_on_signals(100 if given.quick else 900)
    parts = [(events, [400, 4000, 40_000, 400_000]), (rules, [1, 10, 100, 1000]), (files, [1, 10, 100, 1000]), (agents, [10, 100, 1000, 10_000])]
    panels = []
    with Lab(programs) as lab:
        for (part, sizes), (title, text) in zip(parts, SECTIONS):
            print(f"### {title}\n\n{text}\n", flush=True)
            panels.append(part(lab, sizes[:2] if given.quick else sizes, given.quick))
    if given.svg:
        with open(given.svg, "w", encoding="utf-8") as file:
            file.write(svg(panels))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(f"growth: {failure}")
        sys.exit(1)
