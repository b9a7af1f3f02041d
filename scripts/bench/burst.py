"""A burst: matching lines from a file of one host to a file of another, by our programs and by rsyslog.

The whole burst is appended at once, or so many lines a second. Every line must arrive once, byte for byte. CPU is that of both ends, from the first byte of the burst
until both are at rest again. Over TCP, rsyslog has no acknowledgement by the application; over RELP it has one."""

import os
import shutil
import socket
import subprocess
import time

from follow import append
from lab import TIMEOUT, Failure, Site, empty_log, listens, median, say, table, until
from numbered import Arrivals, NumberedLines

TAG = "BURST"
OURS, KEYS, TCP, RELP = "aa436, ax436", "the same with keys", "rsyslog, TCP", "rsyslog, RELP"
# The stream does not roll, so that all of the burst is in one file.
STREAM = "event_stream_size: 10000000000\n"
# Both ends are at rest when they take less CPU than this in that time.
REST_CPU, REST = 0.002, 0.3
# Lines a second that are expected at the least. RELP waits for answers.
SLOWEST, SLOWEST_RELP = 5000, 500


class Burst:
    """Numbered lines in a file, and how many of them are appended a second: 0 is all at once."""

    PART = 0.01

    def __init__(self, lab, count, length, rate):
        self.lines, self.rate = NumberedLines(count, length), rate
        self.path = lab.path("burst.lines")
        self.size = self.lines.write(self.path)

    def append(self, log):
        if not self.rate:
            append(self.path, log)
            return
        part, began = round(self.rate * self.PART) or 1, time.monotonic()
        with open(self.path, "rb") as source, open(log, "ab", buffering=0) as target:
            for first in range(0, self.lines.count, part):
                time.sleep(max(0, began + first / self.rate - time.monotonic()))
                target.write(source.read(part * (self.size // self.lines.count)))

    def patience(self, slowest):
        """Seconds in which a program that manages so many lines a second is done."""
        return TIMEOUT + self.lines.count / slowest


class Result:
    """What a burst cost: µs of CPU a line at each end, seconds in all, and the peak KiB of each end."""

    def __init__(self, cpu, count, seconds, peaks):
        self.sender, self.receiver = (part * 1e6 / count for part in cpu)
        self.both = self.sender + self.receiver
        self.seconds, self.peaks = seconds, peaks


def run(lab, count, length, rate, rounds, relp):
    """Measures bursts of `count` lines, and one of `relp` lines over RELP if that is above 0."""
    measures = {OURS: measure_ours, KEYS: measure_keys}
    if shutil.which("rsyslogd"):
        measures[TCP] = measure_tcp
    burst = Burst(lab, count, length, rate)
    speed = f", {rate:,} a second" if rate else ""
    print(f"### A burst: {count:,} matching lines, {burst.size / 1e6:.1f} MB{speed}, from file to file; medians of {rounds} rounds\n")
    results = {name: [] for name in measures}
    for turn in range(rounds):
        for name, measure in measures.items():
            say(f"burst: round {turn + 1}, {name}")
            results[name].append(measure(lab, burst))
    rows = [row(name, count, values, results[OURS]) for name, values in results.items()]
    if relp and has_relp():
        say(f"burst: {relp} lines, {RELP}")
        rows.append(row(RELP, relp, [measure_relp(lab, Burst(lab, relp, length, rate))], results[OURS]))
    elif relp:
        print("Not compared, because it is not installed: rsyslog-relp.\n", flush=True)
    os.remove(burst.path)
    table(["from, to", "lines", "CPU µs a line: from", "to", "both", "ours / it", "seconds", "ours / it", "peak KiB: from", "to"], rows)
    keys = median([with_keys.both / without.both for with_keys, without in zip(results[KEYS], results[OURS])])
    print(f"CPU with keys / without: {keys:.2f}. Every line arrived once, byte for byte, with every program.\n", flush=True)
    return rows


def row(name, count, values, ours):
    cells = [name, f"{count:,}"]
    cells += [f"{median([getattr(value, part) for value in values]):.2f}" for part in ("sender", "receiver", "both")]
    # One run of fewer lines is no round, and its seconds cannot be compared.
    rounds = zip(ours, values) if len(values) == len(ours) else [(ours[0], values[0])]
    ratios = [(mine.both / its.both, mine.seconds / its.seconds) for mine, its in rounds]
    cpu, seconds = (f"{median(part):.2f}" for part in zip(*ratios))
    cells += ["" if values is ours else cpu, f"{median([value.seconds for value in values]):.2f}"]
    cells.append("" if values is ours or name == RELP else seconds)
    return cells + [f"{median(peaks):,.0f}" for peaks in zip(*(value.peaks for value in values))]


def measure_ours(lab, burst, keys=False):
    site = Site(lab, STREAM + ("key_file: keys\n" if keys else ""))
    log = empty_log(site.folder)
    options = make_keys(site) if keys else []
    server, agent = site.pair("nas1", f"file: {log}\nmatch: {burst.lines.MATCH}\nalert_all: tags={TAG}\n", "-s", "127.0.0.1", *options)
    result = measure(burst, log, agent, server, site.stream)
    burst.lines.check("aa436 to ax436", site.texts(TAG))
    shutil.rmtree(site.folder)
    return result


def measure_keys(lab, burst):
    return measure_ours(lab, burst, keys=True)


def make_keys(site):
    """Gives the server and the agent a key. Returns the agent's options."""
    key = subprocess.run([site.lab.programs["ax436"], "-g"], check=True, stdout=subprocess.PIPE, encoding="ascii").stdout
    for name, text in (("keys", f"nas1 {key}"), ("key", key)):
        site.write(name, text)
        os.chmod(os.path.join(site.folder, name), 0o600)
    return ["-k", "key"]


def measure_tcp(lab, burst):
    return measure_rsyslog(lab, burst, "imptcp", 'type="omfwd" protocol="tcp"', "")


def measure_relp(lab, burst):
    return measure_rsyslog(lab, burst, "imrelp", 'type="omrelp"', 'module(load="omrelp")\n')


def measure_rsyslog(lab, burst, takes, sends, module):
    """Two rsyslogd with their defaults, the form of the lines too. Only what imfile would add to every line is off, which halves its CPU."""
    folder, port = lab.new_folder("rsyslog"), free_tcp_port()
    log, arrived = empty_log(folder), os.path.join(folder, "arrived.log")
    receiver = rsyslogd(
        lab, folder, "receiver", f'module(load="{takes}")\ninput(type="{takes}" port="{port}")\naction(type="omfile" file="{arrived}")\n'
    )
    until("the start of the receiver", lambda: receiver.poll() or listens(port, "tcp"))
    sender = rsyslogd(
        lab, folder, "sender",
        f'module(load="imfile")\n{module}input(type="imfile" file="{log}" tag="{TAG}:" addMetadata="off")\n'
        f'action({sends} target="127.0.0.1" port="{port}")\n',
    )
    result = measure(burst, log, sender, receiver, arrived, SLOWEST_RELP if module else SLOWEST)
    with open(arrived, "rb") as file:
        # rsyslog's own messages have other tags.
        tag = f" {TAG}: ".encode()
        burst.lines.check(f"rsyslog, {takes}", (line[:-1].partition(tag)[2] for line in file if tag in line))
    shutil.rmtree(folder)
    return result


def rsyslogd(lab, folder, name, text):
    settings, work = (os.path.join(folder, f"{name}{ending}") for ending in (".conf", ""))
    os.mkdir(work)
    with open(settings, "w", encoding="ascii") as file:
        file.write(f'global(workDirectory="{work}")\n{text}')
    with open(os.path.join(folder, f"{name}.output"), "w", encoding="utf-8") as output:
        return lab.start(["rsyslogd", "-n", "-i", "NONE", "-f", settings], stdout=output, stderr=output)


def has_relp():
    """Whether rsyslogd finds its modules for RELP."""
    command = ["rsyslogd", "-N", "1", "-f", "/dev/stdin"]
    text = b'module(load="imrelp")\nmodule(load="omrelp")\naction(type="omfile" file="/dev/null")\n'
    return shutil.which("rsyslogd") and subprocess.run(command, input=text, capture_output=True).returncode == 0


def free_tcp_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def measure(burst, log, sender, receiver, arrived, slowest=SLOWEST):
    """Appends the burst to `log` and waits until as many lines are in `arrived`. They need not be in order: imptcp has two threads."""
    processes, count = (sender, receiver), burst.lines.count

    def ended():
        return any(process.poll() for process in processes)

    until("the sender opens the file", lambda: ended() or sender.has_open(log))
    rest(processes)
    arrivals, before = Arrivals(arrived), [process.cpu() for process in processes]
    began = time.monotonic()
    burst.append(log)
    until(f"{count} lines", lambda: ended() or arrivals.count() >= count, burst.patience(slowest), 0.005)
    seconds = time.monotonic() - began
    rest(processes)
    if ended():
        raise Failure(f"{sender.child.args[0]} or {receiver.child.args[0]} has ended")
    cpu = [process.cpu() - earlier for process, earlier in zip(processes, before)]
    result = Result(cpu, count, seconds, [process.peak() for process in processes])
    for process in processes:
        process.end()
    return result


def rest(processes):
    """Waits until the processes have nothing more to do."""
    limit = time.monotonic() + TIMEOUT
    cpu, earlier = sum(process.cpu() for process in processes), -1
    while cpu > earlier + REST_CPU and time.monotonic() < limit:
        time.sleep(REST)
        earlier, cpu = cpu, sum(process.cpu() for process in processes)
