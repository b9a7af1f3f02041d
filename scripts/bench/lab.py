"""What the measurements share: a folder that is removed at the end, the programs that are started in it, and what these cost."""

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TIMEOUT = 60


class Failure(Exception):
    """A measurement that cannot be made, or that has a wrong result."""


class Lab:
    """A folder, in memory if there is room, and the programs started in it. At the end it ends them and removes the folder."""

    def __init__(self, programs, space=1 << 30):
        self.programs = programs
        self.processes = []
        self.folder = tempfile.mkdtemp(prefix="436-bench-", dir=roomy_folder(space))
        self.numbered = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def new_folder(self, name):
        self.numbered += 1
        path = self.path(f"{name}{self.numbered}")
        os.mkdir(path)
        return path

    def start(self, arguments, **options):
        process = Process(arguments, **options)
        self.processes.append(process)
        return process

    def compile(self, source):
        """Compiles a C program of this folder. Returns its path."""
        here = os.path.dirname(os.path.abspath(__file__))
        program = self.path(source.removesuffix(".c"))
        if not os.path.exists(program):
            subprocess.run([os.environ.get("CC", "cc"), "-O2", "-Wall", "-o", program, os.path.join(here, source)], check=True)
        return program


def roomy_folder(space):
    shared = "/dev/shm"
    try:
        memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if shutil.disk_usage(shared).free > space and memory > 2 * space and os.access(shared, os.W_OK):
            return shared
    except (OSError, ValueError):
        pass
    return None


class Process:
    """A running program, and what it has cost so far."""

    def __init__(self, arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        environment = {name: value for name, value in os.environ.items() if name != "PROJECT436_TEST_CLOCK"}
        environment.update({"LC_ALL": "C", "TZ": "UTC"})
        environment.update(options.pop("more_environment", {}))
        self.child = subprocess.Popen(arguments, env=environment, **options)
        self.id = self.child.pid
        self.usage = None

    def cpu(self):
        """Seconds of CPU, of all threads."""
        if self.usage:
            return self.usage.ru_utime + self.usage.ru_stime
        return sum(nanoseconds for nanoseconds, _ in self.schedstats()) / 1e9

    def schedstats(self):
        folder = f"/proc/{self.id}/task"
        for thread in os.listdir(folder):
            try:
                with open(f"{folder}/{thread}/schedstat", encoding="ascii") as file:
                    running, _, turns = file.read().split()
                    yield int(running), int(turns)
            except FileNotFoundError:
                # Either the thread has just ended, or this kernel has no such file.
                if thread == str(self.id):
                    yield self.ticks() * 10**9 // os.sysconf("SC_CLK_TCK"), 0

    def ticks(self):
        with open(f"/proc/{self.id}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def status(self, name):
        """A number of /proc/PID/status."""
        with open(f"/proc/{self.id}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
        raise Failure(f"no {name} in /proc/{self.id}/status")

    def peak(self):
        """The most memory that was ever resident, in KiB."""
        return self.status("VmHWM")

    def open_files(self):
        """The number of its descriptors."""
        return len(os.listdir(f"/proc/{self.id}/fd"))

    def has_open(self, path):
        folder = f"/proc/{self.id}/fd"
        for descriptor in os.listdir(folder):
            try:
                if os.readlink(f"{folder}/{descriptor}") == path:
                    return True
            except FileNotFoundError:
                pass
        return False

    def signal(self, number):
        if self.child.returncode is None:
            os.kill(self.id, number)

    def wait(self, timeout=TIMEOUT):
        """Waits for the end. cpu() still works after it."""
        until("the end of " + str(self.child.args[0]), self.poll, timeout)
        return self.child.returncode

    def poll(self):
        if self.child.returncode is None:
            ended, status, usage = os.wait4(self.id, os.WNOHANG)
            if ended:
                self.usage = usage
                self.child.returncode = os.waitstatus_to_exitcode(status)
        return self.child.returncode is not None

    def end(self):
        if self.poll():
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.wait(5)
        except Failure:
            self.signal(signal.SIGKILL)
            self.wait(5)


class Site:
    """A server and agents on loopback, in a folder of their own."""

    def __init__(self, lab, more=""):
        self.lab = lab
        self.folder = lab.new_folder("site")
        self.port = self.agents_port = free_port()
        self.stream = os.path.join(self.folder, "events.log")
        self.at, self.rest, self.known = 0, b"", []
        for name in ("hosts", "includes"):
            os.mkdir(os.path.join(self.folder, name))
        text = (
            f"event_stream: events.log\nport: {self.port}\nbroadcast: 127.255.255.255\naddress: 0.0.0.0\n"
            f"hosts: hosts\nincludes: includes\n{more}"
        )
        self.write("ax436.conf", text)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, program, *arguments):
        command = [self.lab.programs[program], "-l", f"{program}.log", *arguments]
        return self.lab.start(command, cwd=self.folder)

    def server(self):
        server = self.start("ax436", "ax436.conf")
        until("the start of the server", lambda: server.poll() or listens(self.port + 1))
        if server.poll():
            with open(os.path.join(self.folder, "ax436.log"), encoding="utf-8") as file:
                raise Failure(f"the server did not start: {file.read()}")
        return server

    def pair(self, name, rules, *options):
        """A server and an agent whose rules are in force."""
        self.write(f"hosts/{name}", rules)
        server = self.server()
        agent = self.start("aa436", "-n", name, *options, str(self.agents_port))

        def in_force():
            events = [event for event in self.events() if event[0] == name]
            if any("Configuration error" in text for *_, text in events):
                raise Failure(f"the rules are wrong: {events}")
            return any("in force" in text and ": 0 rules" not in text for *_, text in events)

        until(f"the configuration of {name}", in_force)
        return server, agent

    def pair_at_once(self, name, rules):
        """The same, but the agent does not wait for a heartbeat."""
        return self.pair(name, rules, "-s", "127.0.0.1")

    def events(self):
        """Host, uid, tags and text of all events so far, where the stream has not rolled."""
        try:
            with open(self.stream, "rb") as file:
                file.seek(self.at)
                new = file.read()
        except FileNotFoundError:
            return self.known
        self.at += len(new)
        *whole, self.rest = (self.rest + new).split(b"\n")
        for line in whole:
            _, host, uid, _, tags, _, text = line.decode().split("%%", 6)
            self.known.append((host, uid, tags, text))
        return self.known

    def texts(self, tags):
        """The texts of all events of a rule, as bytes, where the stream has not rolled. Keeps nothing, so there may be millions."""
        with open(self.stream, "rb") as file:
            for line in file:
                fields = line[:-1].split(b"%%", 6)
                if fields[4] == tags.encode():
                    yield fields[6]


def empty_log(folder):
    """Makes an empty log. Returns its path."""
    path = os.path.join(folder, "followed.log")
    with open(path, "w", encoding="ascii"):
        return path


def until(what, condition, timeout=TIMEOUT, pause=0.01):
    """Waits until the condition holds."""
    limit = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > limit:
            raise Failure(f"not within {timeout:g} s: {what}")
        time.sleep(pause)


def listens(port, protocol="udp"):
    """Whether something has that port."""
    with open(f"/proc/net/{protocol}", encoding="ascii") as file:
        return any(line.split()[1].endswith(f":{port:04X}") for line in list(file)[1:])


def free_port():
    """A free UDP port. The next port is free too."""
    start = 20000 + os.getpid() % 20000
    for port in range(start, start + 20000, 2):
        if not listens(port) and not listens(port + 1) and port not in free_port.given:
            free_port.given.add(port)
            return port
    raise Failure("no free UDP port")


free_port.given = set()


def median(values):
    return statistics.median(values)


def table(head, rows):
    """Prints a Markdown table."""
    rows = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
    print(flush=True)


def say(text):
    print(text, file=sys.stderr, flush=True)


def end_on_signals(limit):
    """On a signal, and after so many seconds, raises an exception, so that everything is cleaned up."""

    def end(number, _):
        raise Failure(f"took longer than {limit} s" if number == signal.SIGALRM else f"ended by signal {number}")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, end)
    signal.alarm(limit)
