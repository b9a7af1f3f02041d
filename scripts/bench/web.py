#!/usr/bin/env python3
"""What those who ask over HTTP cost the server: open pages, an idle page, and memory with many hosts. On loopback only.

    web.py [--programs FOLDER] [--seconds N] [--pages N] [--rate N] [--hosts N,N]"""

import argparse
import os
import re
import socket
import threading
import time

from lab import Failure, Lab, Site, end_on_signals, say, table, until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# As the page asks.
FEED, STATUS = 2, 15


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=os.path.join(ROOT, "target", "release"), help="the folder of the programs (%(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="of each measurement (%(default)s)")
    parser.add_argument("--pages", type=int, default=50, help="open pages (%(default)s)")
    parser.add_argument("--rate", type=int, default=1000, help="events a second (%(default)s)")
    parser.add_argument("--hosts", default="200,10000", help="numbers of hosts (%(default)s)")
    return parser.parse_args()


def ask(port, target):
    """The body of an answer, and how long it took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise Failure(f"{target}: {head[:200]}")
    return body, time.monotonic() - began


class Page(threading.Thread):
    """One open page: it asks for events every two seconds, and for the status now and then."""

    def __init__(self, port, hosts, phase):
        super().__init__(daemon=True)
        self.port, self.status, self.phase = port, STATUS * max(1, hosts / 500), phase
        self.ends, self.slowest, self.failure = threading.Event(), 0, None

    def run(self):
        place, due, self.failure = None, 0, None
        self.ends.wait(self.phase)
        try:
            while not self.ends.is_set():
                if time.monotonic() >= due:
                    due = time.monotonic() + self.status
                    self.slowest = max(self.slowest, ask(self.port, "/api/status")[1])
                body, took = ask(self.port, "/api/events?limit=200" + (f"&after={place}" if place else ""))
                self.slowest = max(self.slowest, took)
                place = re.search(rb'"next":"([^"]*)"', body)[1].decode()
                self.ends.wait(FEED)
        except (OSError, Failure) as failure:
            self.failure = failure


class Events(threading.Thread):
    """Sends events as Python agents do, at a steady rate."""

    def __init__(self, port, rate):
        super().__init__(daemon=True)
        self.port, self.rate, self.ends, self.sent = port, rate, threading.Event(), 0

    def run(self):
        began = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not self.ends.is_set():
                while self.sent < (time.monotonic() - began) * self.rate:
                    self.sent += 1
                    host = f"h{self.sent % 100}"
                    sender.sendto(f"ALERT%%{host}%%{began}_{self.sent}%%{int(time.time())}%%T%%NULL%%event {self.sent}".encode(), ("127.0.0.1", self.port))
                time.sleep(0.005)


def turns(port):
    """How many turns of the loop took how long: the bounds in milliseconds with their counts."""
    text = ask(port, "/metrics")[0].decode()
    found = re.findall(r'ax436_loop_turn_seconds_bucket\{le="([^"]+)"\} (\d+)', text)
    return {bound: int(count) for bound, count in found}


def start(lab, hosts):
    site = Site(lab, "event_stream_size: 10000000\n")
    with open(os.path.join(site.folder, "ax436.conf"), "a", encoding="utf-8") as file:
        file.write(f"http: 127.0.0.1:{site.port}\n")
    for number in range(hosts):
        site.write(f"hosts/h{number}", "file: /var/log/syslog\nmatch: x\nalert_all: tags=T\n")
    return site, site.server()


def load(lab, given):
    print(f"### {given.pages} open pages and {given.rate:,} events a second, {given.seconds} s\n")
    rows = []
    for pages in (0, given.pages):
        site, server = start(lab, 200)
        events = Events(site.port + 1, given.rate)
        clients = [Page(site.port, 200, FEED * number / max(1, pages)) for number in range(pages)]
        events.start()
        [client.start() for client in clients]
        time.sleep(5)
        say(f"{pages} pages: {given.seconds} s")
        before, cpu, sent = turns(site.port), server.cpu(), events.sent
        time.sleep(given.seconds)
        cpu, after, sent = server.cpu() - cpu, turns(site.port), events.sent - sent
        for client in [*clients, events]:
            client.ends.set()
        if failures := [client.failure for client in clients if client.failure]:
            raise Failure(f"{len(failures)} pages: {failures[0]}")
        count = {bound: after[bound] - before[bound] for bound in after}
        within = {bound: 100 * count[bound] / count["+Inf"] for bound in ("0.005", "0.01", "0.05")}
        over = count["+Inf"] - count["0.05"]
        rows.append([
            pages, f"{sent / given.seconds:,.0f}", f"{100 * cpu / given.seconds:.1f} %", f"{count['+Inf']:,}",
            f"{within['0.005']:.2f} %", f"{within['0.01']:.2f} %", over, f"{1000 * max([client.slowest for client in clients], default=0):.0f} ms",
        ])
        server.end()
    table(["pages", "events a second", "CPU of a core", "turns of the loop", "within 5 ms", "within 10 ms", "over 50 ms", "slowest answer"], rows)


def idle(lab, given):
    print(f"### One idle page, {given.seconds} s\n")
    site, server = start(lab, 200)
    time.sleep(5)
    readings = []
    for page in (None, Page(site.port, 200, 0)):
        if page:
            page.start()
            time.sleep(3)
        say(f"{'a page' if page else 'no page'}: {given.seconds} s")
        cpu = server.cpu()
        time.sleep(given.seconds)
        readings.append(100 * (server.cpu() - cpu) / given.seconds)
    server.end()
    table(["without a page", "with one", "the page"], [[f"{readings[0]:.3f} %", f"{readings[1]:.3f} %", f"{readings[1] - readings[0]:.3f} % of a core"]])


def memory(lab, given):
    print("### Memory and long answers\n")
    rows = []
    for hosts in [int(number) for number in given.hosts.split(",")]:
        say(f"{hosts} hosts")
        site, server = start(lab, hosts)
        until("all hosts", lambda: ask(site.port, "/api/status")[0].count(b'"state":') >= hosts, 120, 1)
        before = server.status("VmRSS")
        status, status_took = ask(site.port, "/api/status")
        metrics, metrics_took = ask(site.port, "/metrics")
        clients = [Page(site.port, 0, FEED * number / 50) for number in range(50)]
        [client.start() for client in clients]
        time.sleep(10)
        for client in clients:
            client.ends.set()
        rows.append([
            f"{hosts:,}", f"{before:,}", f"{server.status('VmRSS'):,}", f"{server.peak():,}",
            f"{len(status) // 1024:,} KiB in {1000 * status_took:.0f} ms", f"{len(metrics) // 1024:,} KiB in {1000 * metrics_took:.0f} ms",
        ])
        server.end()
    table(["hosts", "resident KiB", "with 50 pages", "at most", "/api/status", "/metrics"], rows)


def main():
    given = options()
    end_on_signals(1800)
    with Lab({"ax436": os.path.abspath(os.path.join(given.programs, "ax436"))}) as lab:
        load(lab, given)
        idle(lab, given)
        memory(lab, given)


if __name__ == "__main__":
    main()
