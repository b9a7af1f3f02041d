"""Latency: from write(2) of a line to its line in the stream, on loopback."""

import os
import random
import time

from lab import Site, median, say, table, until


def run(lab, count):
    print(f"### Latency: write(2) of a line to its line in the stream, {count} lines\n")
    site = Site(lab)
    log = os.path.join(site.folder, "followed.log")
    with open(log, "w", encoding="ascii"):
        pass
    server, agent = site.pair_at_once("nas1", f"file: {log}\nmatch: latency\nalert_all: tags=T\n")
    until("the agent opens the file", lambda: agent.has_open(log))
    say(f"latency: {count} lines")
    chance = random.Random(436)
    seconds = []
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number in range(count):
        # At any time between two reads of the file.
        time.sleep(0.1 + chance.random())
        began = time.monotonic()
        os.write(descriptor, b"a line for the latency %d.\n" % number)
        until("the event", lambda: any(f"latency {number}." in text for *_, text in site.events()[-20:]), pause=0.0005)
        seconds.append(time.monotonic() - began)
    os.close(descriptor)
    agent.end()
    server.end()
    rows = [[f"{median(seconds) * 1000:.1f}", f"{max(seconds) * 1000:.1f}"]]
    table(["median ms", "maximum ms"], rows)
    return rows
