"""strip.py IN OUT: copies from a static ELF program what is loaded into memory, without symbols and sections, for any processor. Gives both
files a build id that is the hash of what is loaded: the linker's hashes the symbols too, with the names of folders of this machine.

Debian's strip knows the processors of x86 only, and objcopy of zig 0.17 cannot strip. llvm-objcopy --strip-sections gives the same sizes, but
is one more package to install. A table of sections, which strip leaves in, takes 832 bytes of aa436 on x86_64."""

import hashlib
import struct
import sys

PT_LOAD = 1
PT_NOTE = 4
NT_GNU_BUILD_ID = 3


class Elf:
    """The fields of an ELF file that this needs."""

    def __init__(self, file: bytes):
        self.file = file
        self.is_wide = file[4] == 2
        self.order = "<" if file[5] == 1 else ">"

    def word(self, at: int) -> int:
        return struct.unpack_from(self.order + "I", self.file, at)[0]

    def address(self, at: int) -> int:
        return struct.unpack_from(self.order + ("Q" if self.is_wide else "I"), self.file, at)[0]

    def table(self) -> tuple[int, int, int]:
        """Where the table of segments begins, the size of an entry, and how many there are."""
        entry, count = struct.unpack_from(self.order + "HH", self.file, 54 if self.is_wide else 42)
        return self.address(32 if self.is_wide else 28), entry, count

    def entries(self) -> list[tuple[int, int, int]]:
        """Where the entry of each segment is, and the segment's offset and size in the file."""
        table, entry, count = self.table()
        places = [table + entry * i for i in range(count)]
        offset, size = (8, 32) if self.is_wide else (4, 16)
        return [(at, self.address(at + offset), self.address(at + size)) for at in places]

    def segments(self, kind: int) -> list[tuple[int, int]]:
        """The offset and the size in the file of each segment of that kind."""
        return [(offset, size) for at, offset, size in self.entries() if self.word(at) == kind]

    def build_id(self) -> range:
        """Where the build id stands; empty if the linker made none."""
        for at, size in self.segments(PT_NOTE):
            end = at + size
            while at < end:
                name, length = self.word(at), self.word(at + 4)
                value = at + 12 + (name + 3) // 4 * 4
                if self.word(at + 8) == NT_GNU_BUILD_ID and self.file[at + 12 : at + 16] == b"GNU\0":
                    return range(value, value + length)
                at = value + (length + 3) // 4 * 4
        return range(0)


def stripped(elf: Elf) -> bytearray:
    """What is loaded, without a table of sections, and with zeros for the build id."""
    table, entry, count = elf.table()
    end = max([table + entry * count] + [offset + size for offset, size in elf.segments(PT_LOAD)])
    program = bytearray(elf.file[:end])
    # e_shoff, then e_shentsize, e_shnum and e_shstrndx.
    struct.pack_into(elf.order + ("Q" if elf.is_wide else "I"), program, 40 if elf.is_wide else 32, 0)
    struct.pack_into(elf.order + "HHH", program, 58 if elf.is_wide else 46, 0, 0, 0)
    for at in elf.build_id():
        program[at] = 0
    # A segment that is not loaded stood behind that, at a place that depends on the symbols: the attributes of RISC-V.
    for place, offset, size in elf.entries():
        if offset + size > end:
            program[place : place + entry] = bytes(entry)
    return program


def main(source: str, target: str) -> None:
    with open(source, "rb") as file:
        elf = Elf(file.read())
    program = stripped(elf)
    place = elf.build_id()
    build_id = hashlib.sha256(program).digest()[: len(place)]
    program[place.start : place.stop] = build_id
    with open(target, "wb") as file:
        file.write(program)
    with open(source, "r+b") as file:
        file.seek(place.start)
        file.write(build_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
