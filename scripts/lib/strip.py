"""strip.py IN OUT: copies from a static ELF program what is loaded into memory, without symbols and sections, for any processor.

Debian's strip knows the processors of x86 only, and objcopy of zig 0.17 cannot strip. llvm-objcopy --strip-sections gives the same sizes, but
is one more package to install. A table of sections, which strip leaves in, takes 832 bytes of aa436 on x86_64."""

import struct
import sys

PT_LOAD = 1


def stripped(elf: bytes) -> bytes:
    wide = elf[4] == 2
    order = "<" if elf[5] == 1 else ">"
    address = "Q" if wide else "I"
    # e_phoff, e_shoff; then e_phentsize, e_phnum and the three fields of sections.
    header_at = 32 if wide else 28
    sizes_at = 54 if wide else 42
    (table,) = struct.unpack_from(order + address, elf, header_at)
    entry, count = struct.unpack_from(order + "HH", elf, sizes_at)
    end = table + entry * count
    for i in range(count):
        at = table + entry * i
        kind = struct.unpack_from(order + "I", elf, at)[0]
        if kind != PT_LOAD:
            continue
        offset = struct.unpack_from(order + address, elf, at + (8 if wide else 4))[0]
        size = struct.unpack_from(order + address, elf, at + (32 if wide else 16))[0]
        end = max(end, offset + size)
    program = bytearray(elf[:end])
    struct.pack_into(order + address, program, header_at + (8 if wide else 4), 0)
    struct.pack_into(order + "HHH", program, sizes_at + 4, 0, 0, 0)
    return bytes(program)


if __name__ == "__main__":
    source, target = sys.argv[1:]
    with open(source, "rb") as file:
        program = stripped(file.read())
    with open(target, "wb") as file:
        file.write(program)
