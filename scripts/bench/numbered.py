"""Numbered lines, to be counted one by one where they arrive."""

from lab import Failure

TEXT = b"Nov 22 11:35:36 nas1 sshd[4711]: authentication failure for root, "
DIGITS = 9
SHORTEST = len(TEXT) + DIGITS


class NumberedLines:
    """So many lines of so many bytes. All of them match MATCH, and no two are equal."""

    MATCH = "failure"

    def __init__(self, count, length=SHORTEST):
        if length < SHORTEST or count >= 10**DIGITS:
            raise Failure(f"lines have at least {SHORTEST} bytes, and there are less than {10**DIGITS:,}")
        self.count = count
        self.begin = TEXT + b"x" * (length - SHORTEST)

    def line(self, number):
        return self.begin + b"%0*d" % (DIGITS, number)

    def write(self, path):
        """Makes a file of them. Returns its size."""
        with open(path, "wb") as file:
            file.writelines(self.line(number) + b"\n" for number in range(self.count))
            return file.tell()

    def check(self, what, lines):
        """Fails unless each of them is there once, byte for byte, and nothing else."""
        seen = bytearray(self.count)
        for line in lines:
            number = int(line[-DIGITS:]) if line[-DIGITS:].isdigit() else self.count
            if number >= self.count or line != self.line(number):
                raise Failure(f"{what}: a line that nobody wrote: {line!r}")
            seen[number] = min(seen[number] + 1, 2)
        if lost := seen.count(0):
            raise Failure(f"{what}: {lost} of {self.count} lines are lost, the first is {seen.index(0)}")
        if doubled := seen.count(2):
            raise Failure(f"{what}: {doubled} of {self.count} lines are there twice, the first is {seen.index(2)}")


class Arrivals:
    """Counts the lines that come into a file from now on."""

    def __init__(self, path):
        self.path, self.at, self.lines = path, 0, 0
        self.count()
        self.lines = 0

    def count(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.at)
                while new := file.read(1 << 20):
                    self.at += len(new)
                    self.lines += new.count(b"\n")
        except FileNotFoundError:
            pass
        return self.lines
