"""A network between one agent and one server on loopback that loses datagrams, or all of them."""

import random
import selectors
import socket
import threading


class LossyNetwork:
    """The agent takes it for the server, and the server takes it for the agent: it passes on what it does not lose.

    `near` is the agent's port P, `far` the server's; agents listen on P and servers on P + 1.
    """

    LOOPBACK = "127.0.0.1"

    def __init__(self, near, far, seed):
        self.percent = 0
        self.lost = [0, 0]
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
        with selectors.DefaultSelector() as selector:
            for source in (*ways, end):
                selector.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is end:
                        return
                    way, out, to = ways[key.fileobj]
                    datagram = key.fileobj.recv(65536)
                    if self.random.randrange(100) < self.percent:
                        self.lost[way] += 1
                    else:
                        out.sendto(datagram, to)

    def end(self):
        self.ends.close()
        self.thread.join()
        self.as_server.close()
        self.as_agent.close()
