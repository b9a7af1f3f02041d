//! Memory for a process of one thread that lives for years on a small device: little of it, and what is free goes back to the system.
//! Small pieces share a page with others of about their size; larger ones have pages of their own.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::{null_mut, NonNull};

/// The allocator of a program without threads.
pub struct Allocator(UnsafeCell<State>);

struct State {
    /// By kind of piece, the pages that have room for more of them.
    with_room: [*mut Page; SIZES.len()],
    /// Pages that hold nothing, for the next that is needed.
    spare: *mut Page,
    spares: usize,
    /// The size of a page of this system; 0 before the first.
    page: usize,
}

/// The beginning of a page of small pieces.
struct Page {
    next: *mut Page,
    previous: *mut Page,
    /// Pieces that were given back.
    free: *mut Free,
    /// How many pieces are in use.
    used: u16,
    /// How many pieces have ever been handed out: those behind them have not been touched yet.
    touched: u16,
}

struct Free {
    next: *mut Free,
}

/// How large small pieces are: most of them multiples of 32, to be aligned like that. The larger ones fill a page of 4 KiB.
const SIZES: [u16; 14] = [16, 32, 48, 64, 96, 128, 160, 224, 320, 416, 672, 992, 1344, 2016];
const HEADER: usize = 32;
const _: () = assert!(size_of::<Page>() <= HEADER);
/// What the first piece of a page is aligned to. Searchers have vectors of that size in them.
const MOST_ALIGNMENT: usize = 32;
/// So many empty pages are kept, lest work that goes to and fro ask the system each time.
const MOST_SPARE: usize = 4;

// SAFETY: never used by two threads: the programs have one. What allocates there does so between the calls of this one's functions.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// An allocator that has no memory yet.
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(State { with_room: [null_mut(); SIZES.len()], spare: null_mut(), spares: 0, page: 0 }))
    }
}

/// Which kind of small piece has room for that; `None` for what gets pages of its own.
fn kind_of(layout: Layout) -> Option<usize> {
    if layout.align() > MOST_ALIGNMENT {
        return None;
    }
    let fits = |size: &u16| layout.size() <= usize::from(*size) && usize::from(*size) % layout.align() == 0;
    SIZES.iter().position(fits)
}

// SAFETY: pieces lie behind each other in a page, behind its header, and a piece is in use or in the list of free ones, never both.
// Whole pages come from the system.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and nothing in here allocates, so that this is the only reference.
        let state = unsafe { &mut *self.0.get() };
        match kind_of(layout) {
            Some(kind) => state.piece(kind),
            None => state.pages(layout),
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above; and the caller says that the piece is one of this layout.
        unsafe {
            let state = &mut *self.0.get();
            match kind_of(layout) {
                Some(kind) => state.give_back(at, kind),
                None => {
                    libc::munmap(at.cast(), state.rounded(layout.size()));
                }
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says. New pages are zero already, and stay untouched.
        unsafe {
            let at = self.alloc(layout);
            if kind_of(layout).is_some() && !at.is_null() {
                at.write_bytes(0, layout.size());
            }
            at
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller says: the piece is of that layout, and the new size is one that a layout can have.
        unsafe {
            let wanted = Layout::from_size_align_unchecked(size, layout.align());
            match (kind_of(layout), kind_of(wanted)) {
                (Some(old), Some(new)) if old == new => return at,
                (None, None) => return (*self.0.get()).resize(at, layout.size(), size),
                _ => {}
            }
            let new = self.alloc(wanted);
            if !new.is_null() {
                at.copy_to_nonoverlapping(new, size.min(layout.size()));
                self.dealloc(at, layout);
            }
            new
        }
    }
}

impl State {
    fn page(&mut self) -> usize {
        if self.page == 0 {
            // SAFETY: touches no memory. The kernel tells every program; `sysconf` takes 1 KB to pass it on.
            self.page = usize::try_from(unsafe { libc::getauxval(libc::AT_PAGESZ) }).unwrap_or(4096);
        }
        self.page
    }

    fn rounded(&mut self, size: usize) -> usize {
        size.next_multiple_of(self.page())
    }

    /// Pages of their own for something large.
    fn pages(&mut self, layout: Layout) -> *mut u8 {
        if layout.align() > self.page() {
            return null_mut();
        }
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: new memory, which nothing else refers to.
        let at = unsafe { libc::mmap(null_mut(), self.rounded(layout.size()), access, kind, -1, 0) };
        if at == libc::MAP_FAILED {
            return null_mut();
        }
        at.cast()
    }

    /// Moves the end of something large, or all of it.
    unsafe fn resize(&mut self, at: *mut u8, old: usize, new: usize) -> *mut u8 {
        // SAFETY: the caller says that the pages are its own, of the old size.
        let moved = unsafe { libc::mremap(at.cast(), self.rounded(old), self.rounded(new), libc::MREMAP_MAYMOVE) };
        if moved == libc::MAP_FAILED {
            return null_mut();
        }
        moved.cast()
    }

    fn capacity(&mut self, kind: usize) -> u16 {
        let pieces = (self.page() - HEADER) / usize::from(SIZES[kind]);
        u16::try_from(pieces).unwrap_or(u16::MAX)
    }

    fn piece(&mut self, kind: usize) -> *mut u8 {
        if self.with_room[kind].is_null() && !self.add_page(kind) {
            return null_mut();
        }
        let page = self.with_room[kind];
        // SAFETY: the page is one of ours that has a free piece, or one that was never touched behind those that were.
        unsafe {
            let free = (*page).free;
            let piece = if free.is_null() {
                let offset = HEADER + usize::from((*page).touched) * usize::from(SIZES[kind]);
                (*page).touched += 1;
                page.cast::<u8>().add(offset)
            } else {
                (*page).free = (*free).next;
                free.cast()
            };
            (*page).used += 1;
            if (*page).used == self.capacity(kind) {
                self.unlink(page, kind);
            }
            piece
        }
    }

    unsafe fn give_back(&mut self, piece: *mut u8, kind: usize) {
        // SAFETY: the caller says that the piece is in use and of that kind, so that a page of ours begins at the boundary before it.
        unsafe {
            let page: *mut Page = piece.sub((piece as usize) & (self.page() - 1)).cast();
            let free: *mut Free = piece.cast();
            (*free).next = (*page).free;
            (*page).free = free;
            if (*page).used == self.capacity(kind) {
                self.link(page, kind);
            }
            (*page).used -= 1;
            if (*page).used == 0 {
                self.unlink(page, kind);
                self.retire(page);
            }
        }
    }

    /// Makes room for pieces of a kind. Returns whether there was memory.
    fn add_page(&mut self, kind: usize) -> bool {
        let page = match NonNull::new(self.spare) {
            Some(page) => {
                self.spares -= 1;
                // SAFETY: a page of ours, whose header is valid.
                self.spare = unsafe { (*page.as_ptr()).next };
                page.as_ptr()
            }
            None => {
                let size = self.page();
                // A page is large enough for what it is aligned to.
                let Ok(layout) = Layout::from_size_align(size, size) else { return false };
                self.pages(layout).cast()
            }
        };
        if page.is_null() {
            return false;
        }
        // SAFETY: the page is ours alone, and aligned for more than its header.
        unsafe {
            page.write(Page { next: null_mut(), previous: null_mut(), free: null_mut(), used: 0, touched: 0 });
            self.link(page, kind);
        }
        true
    }

    /// Keeps a page that holds nothing, or gives it back to the system.
    unsafe fn retire(&mut self, page: *mut Page) {
        // SAFETY: the caller says that the page is ours, empty and in no list.
        unsafe {
            if self.spares == MOST_SPARE {
                libc::munmap(page.cast(), self.page());
                return;
            }
            (*page).next = self.spare;
        }
        self.spare = page;
        self.spares += 1;
    }

    unsafe fn link(&mut self, page: *mut Page, kind: usize) {
        // SAFETY: the caller says that the page is ours and in no list; those in the list are ours.
        unsafe {
            let next = std::mem::replace(&mut self.with_room[kind], page);
            ((*page).next, (*page).previous) = (next, null_mut());
            if !next.is_null() {
                (*next).previous = page;
            }
        }
    }

    unsafe fn unlink(&mut self, page: *mut Page, kind: usize) {
        // SAFETY: the caller says that the page is in that list, all of which are ours.
        unsafe {
            let (next, previous) = ((*page).next, (*page).previous);
            if !next.is_null() {
                (*next).previous = previous;
            }
            if previous.is_null() {
                self.with_room[kind] = next;
            } else {
                (*previous).next = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece, what was written into it, and how it was asked for.
    struct Piece {
        at: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Piece {
        fn new(allocator: &Allocator, size: usize, align: usize, mark: u8) -> Self {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the size is not 0, and the piece has so many bytes.
            let at = unsafe {
                let at = allocator.alloc(layout);
                assert!(!at.is_null() && at as usize % align == 0, "{layout:?}");
                at.write_bytes(mark, size);
                at
            };
            Self { at, layout, mark }
        }

        fn check(&self) {
            // SAFETY: the piece is in use and was written to.
            let bytes = unsafe { std::slice::from_raw_parts(self.at, self.layout.size()) };
            assert!(bytes.iter().all(|b| *b == self.mark), "{:?}", self.layout);
        }

        fn resize(&mut self, allocator: &Allocator, size: usize) {
            let kept = size.min(self.layout.size());
            // SAFETY: the piece is in use, and its first bytes stay what they were.
            unsafe {
                self.at = allocator.realloc(self.at, self.layout, size);
                assert!(std::slice::from_raw_parts(self.at, kept).iter().all(|b| *b == self.mark));
                self.at.write_bytes(self.mark, size);
            }
            self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
        }

        fn free(self, allocator: &Allocator) {
            self.check();
            // SAFETY: the piece is in use, and is not used again.
            unsafe { allocator.dealloc(self.at, self.layout) };
        }
    }

    #[test]
    fn no_piece_touches_another() {
        let allocator = Allocator::new();
        let mut random = crate::random::Random::new(436);
        let mut pick = |count: usize| usize::try_from(random.bits() >> 33).unwrap() % count;
        let mut pieces: Vec<Piece> = Vec::new();
        for step in 0..50_000 {
            let most = [16, 64, 400, 5000, 70_000][pick(5)];
            let size = 1 + pick(most);
            match pick(5) {
                0 | 1 if pieces.len() < 1000 => {
                    let align = [1, 8, 16, 32, 64][pick(5)];
                    pieces.push(Piece::new(&allocator, size, align, u8::try_from(step % 251).unwrap()));
                }
                2 | 3 if !pieces.is_empty() => {
                    let piece = pieces.swap_remove(pick(pieces.len()));
                    piece.free(&allocator);
                }
                _ if !pieces.is_empty() => {
                    let at = pick(pieces.len());
                    pieces[at].resize(&allocator, size);
                }
                _ => {}
            }
        }
        pieces.into_iter().for_each(|piece| piece.free(&allocator));
        let state = allocator.0.into_inner();
        assert!(state.with_room.iter().all(|page| page.is_null()));
        assert!(state.spares <= MOST_SPARE);
    }

    #[test]
    fn new_memory_is_zero_where_that_is_asked_for() {
        let allocator = Allocator::new();
        for size in [1, 100, 2016, 2017, 100_000] {
            Piece::new(&allocator, size, 8, 0xff).free(&allocator);
            let layout = Layout::from_size_align(size, 8).unwrap();
            // SAFETY: the size is not 0, and the piece has so many bytes.
            let at = unsafe { allocator.alloc_zeroed(layout) };
            Piece { at, layout, mark: 0 }.free(&allocator);
        }
    }

    #[test]
    fn what_is_free_is_given_back() {
        let allocator = Allocator::new();
        let pieces: Vec<_> = (0..10_000).map(|_| Piece::new(&allocator, 100, 8, 1)).collect();
        let pages: std::collections::HashSet<_> = pieces.iter().map(|piece| piece.at as usize / 4096 * 4096).collect();
        assert!(pages.len() > 200);
        pieces.into_iter().for_each(|piece| piece.free(&allocator));
        let spares = allocator.0.into_inner().spares;
        assert_eq!(spares, MOST_SPARE);
        // SAFETY: asks whether the system has memory there, and touches none.
        let there = |page: &&usize| unsafe { libc::msync(**page as *mut libc::c_void, 4096, libc::MS_ASYNC) } == 0;
        // Other tests may have got some of it meanwhile.
        assert!(pages.iter().filter(there).count() < pages.len() / 2);
    }
}
