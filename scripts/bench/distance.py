"""Distance: events to a server that is far away, over a network that delays every datagram and loses some. All lines are appended at once,
and every one must arrive once. The network is lossy.py rather than the kernel's netem: it is there everywhere, and a seed repeats it."""

import os
import shutil
import time

from follow import append
from lab import TIMEOUT, Failure, Site, empty_log, free_port, median, say, table, until
from lossy import LossyNetwork
from numbered import Arrivals, NumberedLines

TAG = "DISTANCE"
STREAM = "event_stream_size: 10000000000\n"
# Events a second that are expected at the least.
SLOWEST = 50


def run(lab, count, delay, losses, rounds, seed):
    """Measures each loss, in percent, with so many milliseconds each way."""
    print(f"### Distance: {count:,} events, {delay:g} ms each way; medians of {rounds} rounds\n")
    lines, corpus = NumberedLines(count), lab.path("distance.lines")
    lines.write(corpus)
    results = {loss: [] for loss in losses}
    for turn in range(rounds):
        for loss, values in results.items():
            say(f"distance: {loss:g} % loss, round {turn + 1}")
            values.append(measure(lab, lines, corpus, delay / 1000, loss, seed + turn))
    os.remove(corpus)
    rows = []
    for loss, values in results.items():
        seconds, *counts = (median(part) for part in zip(*values))
        rows.append([f"{loss:g} %", f"{seconds:.2f}", f"{count / seconds:,.0f}", *(f"{number:,.0f}" for number in counts)])
    table(["loss", "seconds", "events a second", "datagrams to the server", "to the agent", "lost"], rows)
    return rows


def measure(lab, lines, corpus, delay, loss, seed):
    """Seconds from the first byte appended to the last event in the stream; datagrams to the server, to the agent and lost meanwhile."""
    site = Site(lab, STREAM)
    site.agents_port = free_port()
    network = LossyNetwork(site.agents_port, site.port, seed, delay)
    try:
        log = empty_log(site.folder)
        server, agent = site.pair_at_once("nas1", f"file: {log}\nmatch: {lines.MATCH}\nalert_all: tags={TAG}\n")
        until("the agent opens the file", lambda: agent.has_open(log))
        network.percent = loss
        arrivals, before = Arrivals(site.stream), network.counts()
        began = time.monotonic()
        append(corpus, log)
        limit = TIMEOUT + lines.count / SLOWEST
        until("the last event", lambda: agent.poll() or server.poll() or arrivals.count() >= lines.count, limit, 0.002)
        seconds = time.monotonic() - began
        counts = [now - earlier for now, earlier in zip(network.counts(), before)]
        if agent.poll() or server.poll():
            raise Failure("aa436 or ax436 has ended")
        # Until what was on its way has arrived, also what would be there twice.
        time.sleep(4 * delay + 0.1)
        lines.check(f"{loss:g} % loss", site.texts(TAG))
        agent.end()
        server.end()
    finally:
        network.end()
    shutil.rmtree(site.folder)
    return seconds, *counts
