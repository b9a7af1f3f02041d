"""Many simulated agents that send from one socket: their sessions with a server and their keepalives."""

import secrets
import socket
import time

from lab import Failure

IN_FLIGHT = 64


class Agents:
    """Agents NAME0 ... with a session each."""

    def __init__(self, port, names):
        self.server = ("127.0.0.1", port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(1)
        self.runs = {name: secrets.token_hex(16) for name in names}
        self.revisions = {}

    def close(self):
        self.socket.close()

    def join(self):
        """Begins all sessions, and records the revision of each host's configuration."""

        def hello(name):
            return f"HELLO%%3%%{name}%%{self.runs[name]}%%{self.runs[name]}"

        def answer(fields):
            name = fields[1]
            if fields[0] == "OFFER":
                return f"JOIN%%{name}%%{self.runs[name]}%%{fields[2]}%%{fields[3]}"
            if fields[0] == "STALE":
                self.revisions[name] = fields[2]
            return None

        self.converse(hello, answer, {"STALE"})

    def alive(self):
        """Every agent sends one keepalive, and the server answers that its configuration is current."""
        self.converse(lambda name: f"ALIVE%%{name}%%{self.runs[name]}%%{self.revisions[name]}", lambda _: None, {"HERE"})

    def converse(self, first, answer, last):
        """Sends the first message of each agent and answers the server, until each has its last answer. Repeats what gets lost."""
        waiting, in_flight = list(reversed(self.runs)), {}
        limit = time.monotonic() + 120
        while waiting or in_flight:
            while waiting and len(in_flight) < IN_FLIGHT:
                name = waiting.pop()
                in_flight[name] = None
                self.say(first(name))
            try:
                fields = self.socket.recv(65536).decode().split("%%")
            except TimeoutError:
                waiting += in_flight
                in_flight = {}
                if time.monotonic() > limit:
                    raise Failure("the server does not answer") from None
                continue
            if len(fields) < 2 or fields[1] not in in_flight:
                continue
            if fields[0] in last:
                answer(fields)
                del in_flight[fields[1]]
            elif text := answer(fields):
                self.say(text)

    def say(self, text):
        self.socket.sendto(text.encode(), self.server)


def longest_silence(port, seconds, begin):
    """Calls `begin`, then sends requests without a pause for that time. Returns the longest time that the server took to answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.1", port))
        asking.settimeout(30)
        begin()
        end, longest = time.monotonic() + seconds, 0.0
        while time.monotonic() < end:
            nonce, asked = secrets.token_hex(16), time.monotonic()
            asking.send(f"HELLO%%3%%nobody%%{nonce}%%{nonce}".encode())
            while nonce not in asking.recv(65536).decode():
                pass
            longest = max(longest, time.monotonic() - asked)
            time.sleep(0.002)
        return longest
