"""A network between one agent and one server on loopback that loses datagrams, or all of them, and delays the others."""

import collections
import random
import selectors
import socket
import threading
import time


class LossyNetwork:
    """The agent takes it for the server, and the server takes it for the agent: it passes on what it does not lose.

    `near` is the agent's port P, `far` the server's; agents listen on P and servers on P + 1. `delay` is the seconds that every datagram
    takes, either way. `percent` are lost, as the seed has it.
    """

    LOOPBACK = "127.0.0.1"

    def __init__(self, near, far, seed, delay=0):
        self.percent, self.delay = 0, delay
        # To the server, and to the agent.
        self.passed, self.lost = [0, 0], [0, 0]
        self.random = random.Random(seed)
        self.as_server, self.as_agent = (self.socket(port) for port in (near + 1, far))
        self.agent, self.server = (self.LOOPBACK, near), (self.LOOPBACK, far + 1)
        self.ends, end = socket.socketpair()
        self.thread = threading.Thread(target=self.run, args=[end], daemon=True)
        self.thread.start()

    def socket(self, port):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind((self.LOOPBACK, port))
        return made

    def run(self, end):
        ways = {self.as_server: (0, self.as_agent, self.server), self.as_agent: (1, self.as_server, self.agent)}
        # In the order in which they leave, since all take as long.
        under_way = collections.deque()
        with selectors.DefaultSelector() as selector:
            for source in (*ways, end):
                selector.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(max(0, under_way[0][0] - time.monotonic()) if under_way else None):
                    if key.fileobj is end:
                        return
                    way, out, to = ways[key.fileobj]
                    datagram = key.fileobj.recv(65536)
                    if self.random.random() * 100 < self.percent:
                        self.lost[way] += 1
                    else:
                        self.passed[way] += 1
                        under_way.append((time.monotonic() + self.delay, out, datagram, to))
                while under_way and under_way[0][0] <= time.monotonic():
                    _, out, datagram, to = under_way.popleft()
                    out.sendto(datagram, to)

    def counts(self):
        """Datagrams that came from the agent, from the server, and those lost of both."""
        to_server, to_agent = (passed + lost for passed, lost in zip(self.passed, self.lost))
        return to_server, to_agent, sum(self.lost)

    def end(self):
        self.ends.close()
        self.thread.join()
        self.as_server.close()
        self.as_agent.close()
