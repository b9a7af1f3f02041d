"""Serving: the CPU that an event costs the server, beside a server that only receives, appends and acknowledges in batches (floor.c).
Every event must be in the stream once."""

import glob
import os
import shutil
import socket

from lab import Failure, Site, free_port, listens, median, say, table, until

HOSTS = 10
NAME = "host"
# Small enough that the stream rolls meanwhile, and enough rolled files that every event can be counted.
ROLLING = "event_stream_size: 8000000\nevent_stream_keep: 1000\n"


def run(lab, counts, rounds, window):
    load, floor = lab.compile("load.c"), lab.compile("floor.c")
    print(f"### Serving: {HOSTS} hosts, {window} events in flight; medians of {rounds} rounds\n")
    rows = []
    for count in counts:
        results = {"ax436": [], "floor": []}
        for turn in range(rounds):
            for program in results:
                say(f"serving: {count} events, round {turn + 1}, {program}")
                sender = [load, HOSTS, window, count, NAME]
                results[program].append(measure_ax436(lab, sender) if program == "ax436" else measure_floor(lab, floor, sender))
        ratios = [ours[0] / theirs[0] for ours, theirs in zip(results["ax436"], results["floor"])]
        for program, values in results.items():
            rows.append([
                f"{count:,}", program, f"{median([cpu for cpu, *_ in values]) * 1e6:.2f}",
                f"{median(ratios):.2f}" if program == "ax436" else "", f"{median([count / seconds for _, seconds, *_ in values]):,.0f}",
                sum(repeats for _, _, repeats, _ in values), f"{median([memory for *_, memory in values]):,.0f}",
            ])
    table(["events", "server", "CPU µs an event", "ax436 / floor", "events a second", "repeats", "peak KiB"], rows)
    return rows


def measure_ax436(lab, load):
    site = Site(lab, ROLLING)
    for host in range(HOSTS):
        site.write(f"hosts/{NAME}{host}", "file: /var/log/auth.log\nmatch: Failed password\nalert_all: tags=AUTH\n")
    server = site.server()
    for host in range(HOSTS):
        wait_until_known(site.port + 1, host)
    result = measure(lab, server, site.port + 1, load, site.stream)
    shutil.rmtree(site.folder)
    return result


def wait_until_known(port, host):
    """Waits until the server has read the file of a host, since it remembers the events of known hosts only."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.bind((f"127.0.0.{2 + host}", 0))
        asking.settimeout(0.1)

        def answered():
            asking.sendto(f"CONFREQ%%{NAME}{host}".encode(), ("127.0.0.1", port))
            try:
                return asking.recv(65536).startswith(b"CONFIG%%")
            except TimeoutError:
                return False

        until(f"the configuration of {NAME}{host}", answered)


def measure_floor(lab, floor, load):
    port, stream = free_port(), os.path.join(lab.new_folder("floor"), "events.log")
    server = lab.start([floor, str(port), stream])
    until("the start of the floor", lambda: server.poll() or listens(port))
    result = measure(lab, server, port, load, stream)
    os.remove(stream)
    return result


def measure(lab, server, port, load, stream):
    """CPU seconds per event, seconds in all, repeats, and the server's peak memory."""
    program, hosts, window, count, name = load
    output = lab.path("load.output")
    before = server.cpu()
    with open(output, "w", encoding="ascii") as file:
        sender = lab.start([program, str(port), str(hosts), str(window), str(count), name], stdout=file)
    until("the end of the load", lambda: sender.poll() or server.poll(), 300)
    if server.poll() or sender.wait() != 0:
        raise Failure("the server has ended, or events were not acknowledged")
    cpu, memory = server.cpu() - before, server.peak()
    server.end()
    with open(output, encoding="ascii") as file:
        seconds, repeats, start = file.read().split()
    count_events(stream, count, start)
    return cpu / count, float(seconds), int(repeats), memory


def count_events(stream, count, start):
    seen = bytearray(count)
    for path in [stream, *glob.glob(stream + ".[0-9]*")]:
        with open(path, encoding="utf-8") as file:
            for line in file:
                run, _, number = line.split("%%", 3)[2].partition(";")[0].partition("_")
                if run == start:
                    seen[int(number)] += 1
    if any(times != 1 for times in seen):
        raise Failure(f"of {count} events {sum(t == 0 for t in seen)} are missing in the stream and {sum(t > 1 for t in seen)} there twice")
