#!/usr/bin/env python3
"""A session of an emulated machine with a server of this one, through what happens to a device. Called by kernels.sh, in a namespace with tap0.

Writes what was shown to standard error, and the figures of the agent into FOLDER/figures.json. Every wait is for a condition: an emulated machine
may be slow, and so may the one that emulates it."""

import argparse
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

ADDRESS, BROADCAST = "10.43.6.1", "10.43.6.255"
# Nothing here takes that long, unless it never comes.
TIMEOUT = 600
# What one instruction takes of an emulated machine's clock: -icount shift=3.
NANOSECONDS = 8
HOST_FILE = r"""file: /var/log/messages
match: LINE \d+
alert_all: tags=LINE

run: command=@df extract=^(/var/log)(.*)$
alert_metric: tags=DF match=1,/var/log metric=2
run: command=@load extract=^(load) (.*)$
alert_metric: tags=LOAD match=1,load metric=2
run: command=@mem extract=^(mem) (.*)$
alert_metric: tags=MEM match=1,mem metric=2
run: command=@uptime extract=^(up) (\d+)$
alert_metric: tags=UP match=1,up metric=2
run: command=echo 17 extract=^(1)(7)
alert_metric: tags=RUN match=1,1 metric=2

process: ^syslogd
alert_running: tags=PS min=2 max=9 message=syslogd
"""


class Failure(Exception):
    """What was to come has not come, or is wrong."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def wait_for(what, condition):
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        if value := condition():
            say(f"ok: {what}")
            return value
        time.sleep(0.2)
    raise Failure(f"not within {TIMEOUT} s: {what}")


class Machine:
    """An emulated machine and the shell on its console."""

    def __init__(self, command, append, folder):
        self.command, self.append = command, append
        self.log = os.path.join(folder, "console.log")
        self.process, self.got, self.runs = None, b"", 0

    def boot(self, *more):
        began = time.monotonic()
        command = [*self.command, "-append", " ".join([self.append, *more])]
        self.got = b""
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.read_until(b"guest: up")
        say(f"ok: booted within {time.monotonic() - began:.0f} s")

    def cut_power(self):
        """Ends the machine at once. What it has not written to its disk is lost."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def run(self, command):
        """What a command of the shell prints, which must succeed."""
        self.runs += 1
        # With the quotes, the marks are not in what a console may echo.
        self.process.stdin.write(f"echo beg''in-{self.runs}.; {{ {command}; }}; echo e''nd-{self.runs}-$?.\n".encode())
        self.process.stdin.flush()
        self.read_until(f"begin-{self.runs}.".encode())
        said = self.read_until(f"end-{self.runs}-".encode())
        status = self.read_until(b".")
        if status != b"0":
            raise Failure(f"status {status.decode()} of {command}: {said.decode(errors='replace')}")
        return said.decode(errors="replace").replace("\r", "")

    def read_until(self, text):
        """Takes what the console prints up to that text, and returns what stands before it."""
        end = time.monotonic() + TIMEOUT
        while text not in self.got:
            left = end - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(left, 0))
            part = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not part:
                raise Failure(f"the console ended or said nothing more; before: {self.got[-500:].decode(errors='replace')}")
            with open(self.log, "ab") as log:
                log.write(part)
            self.got += part
        before, self.got = self.got.split(text, 1)
        return before


class Server:
    """ax436 of this machine with one host, in a folder of its own."""

    def __init__(self, program, host, folder):
        self.program, self.host = program, host
        self.folder = os.path.join(folder, "server")
        self.stream = os.path.join(self.folder, "events.log")
        os.makedirs(os.path.join(self.folder, "hosts"))
        self.write("ax436.conf", f"event_stream: events.log\nevent_stream_size: 100000000\nport: 4360\nbroadcast: {BROADCAST}\nhosts: hosts\n")
        self.write(f"hosts/{host}", HOST_FILE)
        self.process = None
        self.start()

    def write(self, name, text):
        with open(os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        self.process = subprocess.Popen([self.program, "-l", "ax436.log", "ax436.conf"], cwd=self.folder)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def output(self, *arguments):
        return subprocess.run([self.program, *arguments], cwd=self.folder, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout

    def require_keys(self):
        """Gives the host a key and starts anew with it. Returns the key."""
        self.write("keys", "* " + self.output("-g"))
        self.write("ax436.conf", "key_file: keys\n")
        self.stop()
        self.start()
        return self.output("-g", self.host, "ax436.conf").strip()

    def status(self):
        """What the server says of itself, or nothing as long as it does not answer."""
        command = [self.program, "status", "ax436.conf"]
        return subprocess.run(command, cwd=self.folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8").stdout

    def events(self, tag):
        """The texts of all events with that tag."""
        fields = [line.split("%%", 6) for line in read(self.stream).split("\n")]
        return [field[6] for field in fields if len(field) == 7 and field[1] == self.host and field[4] == tag]

    def numbers(self):
        return [int(re.search(r"LINE (\d+)", text)[1]) for text in self.events("LINE")]

    def expect(self, first, last, why):
        """Waits for these lines, which must all come once and in order."""
        wanted = list(range(first, last + 1))
        ours = lambda: [number for number in self.numbers() if first <= number <= last]
        try:
            wait_for(f"lines {first} to {last} {why}", lambda: set(ours()) == set(wanted))
        except Failure as failure:
            raise Failure(f"{failure}: missing {sorted(set(wanted) - set(ours()))}") from None
        if ours() != wanted:
            raise Failure(f"lines {first} to {last} came twice or out of order: {ours()}")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def link(state):
    subprocess.run(["ip", "link", "set", "tap0", state], check=True)


def cost(machine):
    """Nanoseconds of processor time that the agent has had, and the machine's uptime in seconds."""
    said = machine.run("cut -d' ' -f1 /proc/$(pidof aa436)/schedstat; cut -d' ' -f1 /proc/uptime").split()
    return int(said[0]), float(said[1])


def memory(machine):
    said = machine.run("grep -E '^(VmHWM|VmRSS|RssAnon):' /proc/$(pidof aa436)/status")
    return {name: int(kib) for name, kib in re.findall(r"(\w+):\s+(\d+)", said)}


def session(machine, server):
    """A session without keys: discovery, rules, rotations, a clock that jumps. Returns the figures of the agent."""
    machine.boot()
    wait_for("by broadcast, a session: the configuration is in force", lambda: [text for text in server.events("SYSTEM") if "in force" in text])
    for tag in ["DF", "LOAD", "MEM", "UP", "RUN", "PS"]:
        wait_for(f"an event {tag}", lambda tag=tag: server.events(tag))
    start, _ = cost(machine)
    machine.run("lines 1 200; rotate; lines 201 300; rotate; lines 301 400")
    server.expect(1, 400, "over two rotations")
    # The machine began in 1970, as devices without a clock do.
    machine.run(f"date -s @{int(time.time())}; lines 401 450")
    server.expect(401, 450, "after the clock has jumped to now")
    before, _ = cost(machine)
    machine.run("for number in $(seq 10001 12000); do echo LINE $number; done >/tmp/burst; cat /tmp/burst >>/var/log/messages")
    server.expect(10001, 12000, "at once")
    idle, began = cost(machine)
    machine.run("sleep 60")
    rested, ended = cost(machine)
    figures = {"kernel": machine.run("uname -r").strip(), "start": start, "line": (idle - before) / 2000}
    figures["minute"] = (rested - idle) * 60 / (ended - began)
    return {**figures, **memory(machine)}


def trouble(machine, server):
    """Power cuts, an outage, keys."""
    machine.run("lines 451 500; sync; lines 501 520")
    server.expect(451, 520, "before the power is cut")
    machine.cut_power()
    machine.boot()
    machine.run("lines 521 570; sync")
    server.expect(451, 570, "with a power cut between")

    link("down")
    machine.run("lines 571 620; rotate; lines 621 670; sync")
    machine.cut_power()
    if 571 in server.numbers():
        raise Failure("line 571 came though the network was down")
    machine.boot("guest_rotate=1")
    link("up")
    machine.run("lines 671 720; sync")
    server.expect(571, 720, "written during an outage, with a power cut and two rotations")

    key = server.require_keys()
    machine.run("lines 721 740; sync")
    wait_for("without a key, the server refuses the agent", lambda: "refused since the start" in server.status())
    if 721 in server.numbers():
        raise Failure("line 721 came without a key")
    machine.run(f"(umask 077; echo {key} >/var/log/key); kill $(pidof aa436); (agent &); lines 741 770; sync")
    server.expect(721, 770, "with its key")
    machine.cut_power()
    machine.boot()
    machine.run("lines 771 800; sync")
    server.expect(721, 800, "with its key, with a power cut between")


def server_inside(machine, agent, folder):
    """The machine as a server with an agent of this one, through a power cut while lines come."""
    conf = f"event_stream: events.log\nport: 4370\nbroadcast: {BROADCAST}\nhosts: hosts\nevent_sync: 0\n"
    log = os.path.join(folder, "native.log")
    serve = "(cd /var/log && ax436 -l ax436.log ax436.conf &)"
    machine.run(f"cd /var/log; mkdir hosts; printf '{conf}' >ax436.conf; printf 'file: {log}\nmatch: LINE\nalert_all: tags=LINE\n' >hosts/native; sync")

    def write(first, last):
        with open(log, "a", encoding="utf-8") as file:
            file.write("".join(f"LINE {number}\n" for number in range(first, last + 1)))

    def count():
        return int(machine.run("cat /var/log/events.log 2>/dev/null | grep -c '%%LINE%%' || true"))

    write(0, 0)
    process = subprocess.Popen([agent, "-n", "native", "-l", "native-agent.log", "4370"], cwd=folder)
    try:
        machine.run(serve)
        # From here on, what is written comes; what was written before the first session does not.
        wait_for("by broadcast, a session with the server inside", lambda: "Following" in read(os.path.join(folder, "native-agent.log")))
        write(1, 3000)
        wait_for("lines come to the server inside", count)
        write(3001, 6000)
        machine.cut_power()
        machine.boot()
        machine.run(serve)
        wait_for("the server inside has as many lines as were written", lambda: count() >= 6000)
        said = machine.run("grep '%%LINE%%' /var/log/events.log | sed 's/.*LINE //'")
        if [int(number) for number in said.split()] != list(range(1, 6001)):
            raise Failure("the server inside has lines twice or out of order after a power cut")
    finally:
        process.terminate()
        process.wait()


def table(folder, targets):
    """The figures of these targets, in Markdown."""
    rows = ["| target | kernel | resident KiB | of that not of the file | most ever | start | a line | a minute of rest |"]
    rows.append("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for target in targets:
        with open(os.path.join(folder, target, "figures.json"), encoding="utf-8") as file:
            had = json.load(file)
        cells = [f"`{target}`", had["kernel"], had["VmRSS"], had["RssAnon"], had["VmHWM"]]
        rows.append(f"| {' | '.join(map(str, cells))} | {' | '.join(f'{had[name] / NANOSECONDS / 1e6:,.2f}' for name in ('start', 'line', 'minute'))} |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--table", nargs="+", help="print the figures of these targets, whose folders are in FOLDER")
    parser.add_argument("--host", help="the name of the machine")
    parser.add_argument("--programs", help="the folder of this machine's programs")
    parser.add_argument("--inside", action="store_true", help="the machine is a server too")
    parser.add_argument("--append", help="the kernel's command line")
    parser.add_argument("qemu", nargs="*")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(arguments.folder, arguments.table))
        return
    machine = Machine(arguments.qemu, arguments.append, arguments.folder)
    server = Server(os.path.join(arguments.programs, "ax436"), arguments.host, arguments.folder)
    try:
        figures = session(machine, server)
        trouble(machine, server)
        if arguments.inside:
            server_inside(machine, os.path.join(arguments.programs, "aa436"), arguments.folder)
        with open(os.path.join(arguments.folder, "figures.json"), "w", encoding="utf-8") as file:
            json.dump(figures, file)
    except Failure as failure:
        sys.exit(f"FAILED: {arguments.host}: {failure}")
    finally:
        machine.cut_power()
        server.stop()


if __name__ == "__main__":
    main()
