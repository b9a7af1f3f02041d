"""A log as syslog writes it, made from a seed: the same seed and number of lines give the same bytes everywhere."""

import random

# Matches every pattern of the benchmarks, so that a count is complete only when the last line was read.
LAST = "Nov 22 23:59:59 nas1 last[4711]: error: authentication failure, segfault at 0xdead\n"

# How many lines in 100,000 are of that kind; what is left is the daily noise below.
RARE = [
    (100, "kernel: {word}[{pid}]: segfault at 0x{hex} ip 0x{hex} sp 0x{hex} error 4 in lib{word}.so"),
    (20, "{word}[{pid}]: reported a segfault of its child, no address known"),
    (100, "{word}[{pid}]: error: cannot open /var/lib/{word}/{hex}: no such file or directory"),
    (50, "{word}[{pid}]: timeout while waiting for 10.0.{byte}.{byte} port {port}"),
    (100, "sshd[{pid}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 rhost=10.0.{byte}.{byte} user={word}"),
    (800, "{word}[{pid}]: request took {pid} ms, status 500, error page sent to 10.0.{byte}.{byte}"),
    (300, "{word}[{pid}]: retry {byte} after timeout, next in {byte} s"),
]
USUAL = [
    "sshd[{pid}]: Accepted publickey for {word} from 10.0.{byte}.{byte} port {port} ssh2: RSA",
    "sshd[{pid}]: pam_unix(sshd:session): session opened for user {word} by (uid=0)",
    "systemd[1]: Started Session {pid} of user {word}.",
    "CRON[{pid}]: ({word}) CMD (/usr/bin/test -x /usr/lib/{word}/check && /usr/lib/{word}/check)",
    "dnsmasq[{pid}]: query[A] {word}.example.org from 192.168.1.{byte}",
    "dnsmasq[{pid}]: reply {word}.example.org is 10.{byte}.{byte}.{byte}",
    "kernel: [UFW BLOCK] IN=eth0 OUT= SRC=10.{byte}.{byte}.{byte} DST=192.168.1.{byte} LEN=60 PROTO=TCP SPT={port}",
    "postfix/smtpd[{pid}]: connect from {word}.example.org[10.{byte}.{byte}.{byte}]",
    "dhcpd[{pid}]: DHCPACK on 192.168.1.{byte} to 52:54:00:{pid}:{hex} ({word}) via eth0",
    "nginx[{pid}]: 10.{byte}.{byte}.{byte} - - GET /{word}/{hex} HTTP/1.1 200 {port}",
]
WORDS = "backup mail www db proxy cache print scan media git build home guest alice bob carol dave sync index queue".split()
POOL = 20_000


def write(path, lines, seed):
    """Writes the corpus. Returns its size."""
    chance = random.Random(seed)

    def body(kinds):
        byte = chance.randrange(1, 255)
        return chance.choice(kinds).format(
            pid=chance.randrange(100, 32768), port=chance.randrange(1024, 65536), byte=byte, hex=f"{chance.getrandbits(40):x}",
            word=chance.choice(WORDS),
        )

    share = sum(count for count, _ in RARE)
    rare = [body([text]) for count, text in RARE for _ in range(count)]
    usual = [body(USUAL) for _ in range(POOL)]
    with open(path, "w", encoding="ascii") as file:
        for i in range(lines - 1):
            second = i * 86_399 // lines
            text = chance.choice(rare) if chance.random() < share / 100_000 else usual[int(chance.random() * POOL)]
            file.write(f"Nov 22 {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02} nas1 {text}\n")
        file.write(LAST)
        return file.tell()
