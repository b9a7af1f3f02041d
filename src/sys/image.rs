//! The program's own ELF image in memory: where it was loaded, and the segments that the kernel's auxiliary vector points at.
#![allow(unsafe_code, reason = "getauxval, and reading the image")]

#[cfg(target_pointer_width = "32")]
use libc::Elf32_Phdr as Segment;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Phdr as Segment;
use std::ops::Range;

/// The image of this program.
pub(super) struct Image {
    segments: &'static [Segment],
    base: usize,
}

#[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast, reason = "addresses and sizes of this process")]
impl Image {
    /// Reads the table of segments. `None` if the kernel does not say where it is.
    pub(super) fn own() -> Option<Self> {
        // SAFETY: the kernel says where the table is and how long; it is part of the image, which is never unmapped.
        let segments = unsafe {
            let table = libc::getauxval(libc::AT_PHDR) as *const Segment;
            let count = libc::getauxval(libc::AT_PHNUM) as usize;
            if table.is_null() {
                return None;
            }
            std::slice::from_raw_parts(table, count)
        };
        // The entry for the table itself tells how far the image was moved. Without that entry it was not.
        let own = segments.iter().find(|segment| segment.p_type == libc::PT_PHDR);
        let base = own.map_or(0, |own| (segments.as_ptr() as usize).wrapping_sub(own.p_vaddr as usize));
        Some(Self { segments, base })
    }

    /// The difference between an address in memory and the one in the program's file: 0 unless the program is position-independent.
    pub(super) fn base(&self) -> usize {
        self.base
    }

    /// The segments of notes.
    pub(super) fn notes(&self) -> impl Iterator<Item = &'static [u8]> + '_ {
        self.of_type(libc::PT_NOTE).map(|notes| {
            // SAFETY: the segment is part of the image, which is never unmapped, and nothing writes to it.
            unsafe { std::slice::from_raw_parts(notes.start as *const u8, notes.len()) }
        })
    }

    /// The addresses that are to be read-only once the program was relocated.
    pub(super) fn relro(&self) -> Option<Range<usize>> {
        self.of_type(libc::PT_GNU_RELRO).next()
    }

    fn of_type(&self, kind: u32) -> impl Iterator<Item = Range<usize>> + '_ {
        self.segments.iter().filter(move |segment| segment.p_type == kind).map(|segment| {
            let start = self.base.wrapping_add(segment.p_vaddr as usize);
            start..start + segment.p_memsz as usize
        })
    }
}
