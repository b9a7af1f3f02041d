//! Following one file by its path: through rotation by rename, copy-and-truncate, truncation that grew past the old place, deletion
//! and late writers. What was read is recognised by content, so that a file that is no longer the same is begun anew.
//! Knows bytes and lines, not what they mean.

use crate::lines::{LineSplitter, MAX_LINE};
use std::fs::{self, File, Metadata};
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

/// Bytes before the reading point that must still be the same for reading to go on there.
const CONTEXT: usize = 256;

/// Bytes that a buffer for [`Follower::read`] needs.
pub const BUFFER: usize = CONTEXT + MAX_LINE;

/// Takes whole lines at a position counted through all rotations; returns how many bytes it is done with.
pub type TakeLines<'a> = &'a mut dyn FnMut(u64, &[u8]) -> usize;

/// A file that is followed, whether it exists or not.
pub struct Follower {
    path: String,
    /// Where reading begins in the next file that is found under the path: past what was there when it could not yet be read.
    first_start: u64,
    current: Option<Open>,
    /// Files that had the name before, oldest first.
    retired: Vec<Retired>,
    /// Bytes done with, through all rotations.
    position: u64,
    /// Whether the last look found that it cannot be read.
    unreadable: bool,
    missing_since: Option<Duration>,
    /// Why the last reading failed, if it did.
    read_failure: Option<String>,
}

/// An open file and how far it is read.
pub struct Open {
    file: File,
    identity: Identity,
    offset: u64,
    splitter: LineSplitter,
    /// Length and hash of the bytes before the offset.
    context: (usize, u64),
    /// The size when the end was last asked for.
    measured: u64,
    /// Size and time of change when everything there was had been read.
    caught_up: Option<Signature>,
}

/// Device and inode.
pub type Identity = (u64, u64);

/// Size, and seconds and nanoseconds of the last change.
type Signature = (u64, i64, i64);

struct Retired {
    open: Open,
    /// When it last grew, or was retired.
    grown: Duration,
}

/// How far one reading went.
enum Reach {
    End,
    /// The taker had no room.
    Blocked,
    /// So much was read that others shall have their turn.
    More,
}

impl Follower {
    /// Most bytes that one poll reads.
    const TURN: u64 = 1 << 20;
    /// A path without a file counts as an error only after such a time: rotations leave gaps.
    const MISSING_TOLERANCE: Duration = Duration::from_secs(10);
    /// A file without its name is let go after that time, since it takes up space.
    const MISSING_HELD: Duration = Duration::from_secs(600);
    /// So long after it last grew a rotated file is still looked at for a late writer.
    const LATE_WRITER: Duration = Duration::from_secs(60);
    /// The last line of a rotated file counts as ended, though no newline came, when nothing was added for that time.
    const UNENDED_LINE: Duration = Duration::from_secs(5);
    /// Most rotated files that are held open.
    const MAX_RETIRED: usize = 8;

    /// A file to follow: what it holds already is passed over, but if it appears later it is read from its start.
    pub fn from_end(path: &str) -> Self {
        let Some(meta) = fs::metadata(path).ok().filter(Metadata::is_file) else { return Self::from_start(path) };
        match Open::new(path, u64::MAX) {
            Ok(open) => Self::resuming(path, open),
            Err(_) => Self { first_start: meta.len(), ..Self::from_start(path) },
        }
    }

    /// A file to follow from its start.
    pub fn from_start(path: &str) -> Self {
        let path = path.to_string();
        Self {
            path,
            first_start: 0,
            current: None,
            retired: Vec::new(),
            position: 0,
            unreadable: false,
            missing_since: None,
            read_failure: None,
        }
    }

    /// A file that was followed under another name, from where that follower let go.
    pub fn resuming(path: &str, open: Open) -> Self {
        Self { current: Some(open), ..Self::from_start(path) }
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the path had no file at the last look.
    pub fn is_missing(&self) -> bool {
        self.missing_since.is_some()
    }

    /// Whether the path has no file and nothing is left to be read of those that it had.
    pub fn is_gone(&self) -> bool {
        self.is_missing() && self.retired.is_empty() && self.current.is_none()
    }

    /// Which file is followed now.
    pub fn identity(&self) -> Option<Identity> {
        self.current.as_ref().map(|open| open.identity)
    }

    /// Whether nothing is to be done but when the file changes: no rotated file may still grow, and what is wrong has been said.
    pub fn is_settled(&self) -> bool {
        self.retired.is_empty() && self.read_failure.is_none() && (self.current.is_some() || self.unreadable)
    }

    /// Lets go of a file that now has another path, if it was followed here.
    pub fn release(&mut self, meta: &Metadata) -> Option<Open> {
        let identity = identity(meta);
        if let Some(at) = self.retired.iter().position(|retired| retired.open.identity == identity) {
            return Some(self.retired.remove(at).open);
        }
        if self.current.as_ref().is_some_and(|open| open.identity == identity) {
            return self.current.take();
        }
        None
    }

    /// Where the file ends now, counted as the positions of lines are: all that is there already is before it.
    pub fn end(&mut self) -> u64 {
        let retired = self.retired.iter_mut().map(|retired| &mut retired.open);
        self.position + retired.chain(&mut self.current).map(Open::measure).sum::<u64>()
    }

    /// Looks whether the path has another file than before, and opens it if so; reads nothing. `elsewhere` is asked for a file that
    /// was followed under another name until now.
    ///
    /// # Errors
    /// Why the file cannot be opened, or could not be read when that was last tried. That there is none is an error only after a while.
    pub fn look(&mut self, now: Duration, elsewhere: &mut dyn FnMut(&Metadata) -> Option<Open>) -> Result<(), String> {
        let found = fs::metadata(&self.path).and_then(|meta| if meta.is_file() { Ok(meta) } else { Err(not_a_file(&meta)) });
        let state = match found.and_then(|meta| self.handle_found(now, &meta, elsewhere)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let tolerated = self.handle_missing(now);
                if tolerated {
                    Ok(())
                } else {
                    Err(crate::sys::reason(&e))
                }
            }
            other => {
                self.missing_since = None;
                other.map_err(|e| crate::sys::reason(&e))
            }
        };
        self.unreadable = state.is_err();
        state.and(self.read_failure.clone().map_or(Ok(()), Err))
    }

    /// Reads what was added, rotated files first. Returns whether there is more to read at once, unless the taker had no room.
    pub fn read(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> bool {
        let outcome = self.read_all(now, buffer, take);
        self.read_failure = outcome.as_ref().err().map(crate::sys::reason);
        matches!(outcome, Ok(Reach::More))
    }

    fn handle_found(&mut self, now: Duration, meta: &Metadata, elsewhere: &mut dyn FnMut(&Metadata) -> Option<Open>) -> io::Result<()> {
        if let Some(open) = self.current.as_mut().filter(|open| open.identity == identity(meta)) {
            open.restart_if_cut(meta.len(), &mut self.position);
            return Ok(());
        }
        // A file that has come back, or had another name, is read on and not again.
        let opened = match self.release(meta).or_else(|| elsewhere(meta)) {
            Some(known) => known,
            // The present file is let go only when there is a new one, lest what it still holds be lost.
            None => Open::new(&self.path, self.first_start)?,
        };
        if opened.identity != identity(meta) {
            // It was renamed at this moment: the next look sees what it is.
            return Ok(());
        }
        self.first_start = 0;
        self.retire(now);
        self.current = Some(opened);
        Ok(())
    }

    /// Returns whether that is still tolerated.
    fn handle_missing(&mut self, now: Duration) -> bool {
        self.first_start = 0;
        let since = *self.missing_since.get_or_insert(now);
        if now - since >= Self::MISSING_HELD {
            self.retire(now);
        }
        !self.unreadable && now - since < Self::MISSING_TOLERANCE
    }

    fn retire(&mut self, now: Duration) {
        if let Some(open) = self.current.take() {
            self.retired.push(Retired { open, grown: now });
        }
        if self.retired.len() > Self::MAX_RETIRED {
            self.retired.remove(0);
        }
    }

    fn read_all(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> io::Result<Reach> {
        let mut at = 0;
        while let Some(retired) = self.retired.get_mut(at) {
            match retired.open.read(&mut self.position, buffer, take) {
                Ok((Reach::End, grown)) => {
                    if grown {
                        retired.grown = now;
                    }
                    if now - retired.grown >= Self::UNENDED_LINE && !retired.open.read_unended(&mut self.position, buffer, take) {
                        return Ok(Reach::Blocked);
                    }
                    if now - retired.grown >= Self::LATE_WRITER {
                        self.retired.remove(at);
                    } else {
                        at += 1;
                    }
                }
                Ok((reach, _)) => return Ok(reach),
                Err(_) => drop(self.retired.remove(at)),
            }
        }
        let Some(open) = &mut self.current else { return Ok(Reach::End) };
        open.read(&mut self.position, buffer, take).map(|(reach, _)| reach)
    }
}

#[allow(clippy::disallowed_methods, reason = "where files are read")]
impl Open {
    fn new(path: &str, offset: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(not_a_file(&meta));
        }
        let offset = offset.min(meta.len());
        let mut before = [0; CONTEXT];
        let length = usize::try_from(offset.min(CONTEXT as u64)).unwrap_or(CONTEXT);
        let read = file.read_at(&mut before[..length], offset - length as u64)?;
        let context = context(&before[..read]);
        Ok(Self { file, identity: identity(&meta), offset, splitter: LineSplitter::default(), context, measured: 0, caught_up: None })
    }

    /// How much is unread.
    fn measure(&mut self) -> u64 {
        self.measured = self.file.metadata().map_or(0, |meta| meta.len());
        self.measured.saturating_sub(self.offset)
    }

    /// Begins the file anew. What was measured but is gone unread counts as passed, lest new lines stand in its place.
    fn start_over(&mut self, position: &mut u64) {
        *position += self.measured.saturating_sub(self.offset);
        self.measured = 0;
        self.offset = 0;
        self.context = context(&[]);
        self.splitter = LineSplitter::default();
        self.caught_up = None;
    }

    fn restart_if_cut(&mut self, size: u64, position: &mut u64) {
        if size < self.offset {
            self.start_over(position);
        }
    }

    /// Reads whole lines until the end, and says whether there was anything new.
    fn read(&mut self, position: &mut u64, buffer: &mut [u8], take: TakeLines<'_>) -> io::Result<(Reach, bool)> {
        let signature = signature(&self.file.metadata()?);
        if self.caught_up == Some(signature) {
            return Ok((Reach::End, false));
        }
        self.restart_if_cut(signature.0, position);
        let mut turn = 0;
        while turn < Follower::TURN {
            let known = self.context.0;
            let read = read_at(&self.file, buffer, self.offset - known as u64)?;
            if read < known || context(&buffer[..known]) != self.context {
                // The same file, but not the same content: it was cut and has grown past the old place.
                self.start_over(position);
                continue;
            }
            let data = &buffer[known..read];
            let piece = self.splitter.split(data);
            let consumed = if piece.lines.is_empty() { 0 } else { take(*position + piece.skipped as u64, piece.lines) };
            let blocked = consumed < piece.lines.len();
            let advanced = self.splitter.advance(piece, consumed);
            self.advance(advanced, &buffer[..known + advanced]);
            *position += advanced as u64;
            turn += advanced as u64;
            if blocked {
                return Ok((Reach::Blocked, true));
            }
            if advanced == 0 {
                self.caught_up = Some(signature);
                return Ok((Reach::End, true));
            }
        }
        Ok((Reach::More, true))
    }

    /// Takes what follows the last newline as a line. Returns whether there was room for it.
    fn read_unended(&mut self, position: &mut u64, buffer: &mut [u8], take: TakeLines<'_>) -> bool {
        let Ok(read) = read_at(&self.file, buffer, self.offset) else { return true };
        if read == 0 {
            return true;
        }
        let consumed = take(*position, &buffer[..read]);
        if consumed > 0 {
            self.advance(consumed, &buffer[..consumed]);
            *position += consumed as u64;
        }
        consumed == read
    }

    fn advance(&mut self, by: usize, behind: &[u8]) {
        self.offset += by as u64;
        self.context = context(&behind[behind.len().saturating_sub(CONTEXT)..]);
    }
}

/// Reads until the buffer is full or the file ends.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino())
}

fn signature(meta: &Metadata) -> Signature {
    (meta.len(), meta.mtime(), meta.mtime_nsec())
}

fn context(bytes: &[u8]) -> (usize, u64) {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    (bytes.len(), hasher.finish())
}

fn not_a_file(meta: &Metadata) -> io::Error {
    io::Error::other(if meta.is_dir() { "Is a directory" } else { "Not a regular file" })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make files")]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// A folder, a follower of `log` in it, and the lines that it has read.
    struct Case {
        folder: PathBuf,
        follower: Follower,
        time: Duration,
        seen: Vec<String>,
    }

    impl Case {
        /// Begins with a file that holds one old line.
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("436-tail-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("log"), "old\n").unwrap();
            let follower = Follower::from_end(folder.join("log").to_str().unwrap());
            Self { folder, follower, time: Duration::from_secs(1000), seen: Vec::new() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.join(name)
        }

        fn append(&self, name: &str, text: &str) {
            fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
        }

        fn rename(&self, from: &str, to: &str) {
            fs::rename(self.path(from), self.path(to)).unwrap();
        }

        fn inode(&self, name: &str) -> u64 {
            fs::metadata(self.path(name)).unwrap().ino()
        }

        /// Lets seconds pass, then looks and reads to the end.
        fn after(&mut self, seconds: u64) -> Result<(), String> {
            self.time += Duration::from_secs(seconds);
            let state = self.follower.look(self.time, &mut |_| None);
            let (mut buffer, seen) = (vec![0; BUFFER], &mut self.seen);
            let mut take = |_: u64, bytes: &[u8]| {
                seen.extend(crate::lines::lines(bytes).map(|(_, line)| String::from_utf8_lossy(line).into_owned()));
                bytes.len()
            };
            while self.follower.read(self.time, &mut buffer, &mut take) {}
            state
        }

        /// What was read within the next second and not told before.
        fn next(&mut self) -> Vec<String> {
            assert_eq!(self.after(1), Ok(()));
            std::mem::take(&mut self.seen)
        }
    }

    impl Drop for Case {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn what_is_there_at_the_start_is_passed_over() {
        let mut case = Case::new("start");
        case.append("log", "1\n");
        assert_eq!(case.next(), ["1"]);
        assert_eq!(case.next(), [""; 0]);
    }

    #[test]
    fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
        let mut case = Case::new("rename");
        case.append("log", "1\n");
        let before = case.inode("log");
        case.rename("log", "log.1");
        case.append("log.1", "2\n");
        case.append("log", "3\n");
        assert_ne!(case.inode("log"), before);
        assert_eq!(case.next(), ["1", "2", "3"]);
    }

    #[test]
    fn a_gap_in_a_rotation_is_no_error() {
        let mut case = Case::new("gap");
        case.rename("log", "log.1");
        case.append("log.1", "1\n");
        assert_eq!(case.next(), ["1"]);
        assert!(!case.path("log").exists());
        assert_eq!(case.after(8), Ok(()));
        case.append("log", "2\n");
        case.append("log.1", "late\n");
        assert_eq!(case.next(), ["late", "2"]);
    }

    #[test]
    fn a_file_that_stays_away_is_an_error_until_it_is_back() {
        let mut case = Case::new("missing");
        assert_eq!(case.after(1), Ok(()));
        case.rename("log", "elsewhere");
        assert_eq!(case.after(1), Ok(()));
        assert!(case.after(10).is_err());
        assert!(case.after(1).is_err());
        case.append("elsewhere", "1\n");
        case.rename("elsewhere", "log");
        assert_eq!(case.next(), ["1"]);
    }

    #[test]
    fn a_cut_file_is_read_from_its_start() {
        let mut case = Case::new("cut");
        case.append("log", "1\n");
        assert_eq!(case.next(), ["1"]);
        fs::copy(case.path("log"), case.path("log.1")).unwrap();
        let before = case.inode("log");
        fs::OpenOptions::new().write(true).truncate(true).open(case.path("log")).unwrap();
        assert_eq!((case.inode("log"), fs::metadata(case.path("log")).unwrap().len()), (before, 0));
        assert_eq!(case.next(), [""; 0]);
        case.append("log", "2\n");
        assert_eq!(case.next(), ["2"]);
    }

    #[test]
    fn a_cut_file_that_has_outgrown_its_old_size_is_read_from_its_start() {
        let mut case = Case::new("regrown");
        case.append("log", "1\n");
        assert_eq!(case.next(), ["1"]);
        let (before, size) = (case.inode("log"), fs::metadata(case.path("log")).unwrap().len());
        fs::write(case.path("log"), "2\n3\n4\n5\n6\n").unwrap();
        assert_eq!(case.inode("log"), before);
        assert!(fs::metadata(case.path("log")).unwrap().len() > size);
        assert_eq!(case.next(), ["2", "3", "4", "5", "6"]);
    }

    #[test]
    fn a_file_that_was_replaced_by_a_larger_one_is_read_from_its_start() {
        let mut case = Case::new("replaced");
        case.append("log", "1\n");
        assert_eq!(case.next(), ["1"]);
        let before = case.inode("log");
        fs::remove_file(case.path("log")).unwrap();
        case.append("log", "2\n3\n4\n5\n6\n");
        assert_ne!(case.inode("log"), before);
        assert_eq!(case.next(), ["2", "3", "4", "5", "6"]);
    }

    #[test]
    fn a_late_writer_is_heard_for_a_minute_after_its_last_line() {
        let mut case = Case::new("late");
        case.rename("log", "log.1");
        case.append("log", "new\n");
        assert_eq!(case.next(), ["new"]);
        for line in ["1", "2", "3"] {
            case.time += Duration::from_secs(50);
            case.append("log.1", &format!("{line}\n"));
            assert_eq!(case.next(), [line]);
        }
        assert_eq!(case.after(61), Ok(()));
        assert!(case.follower.retired.is_empty());
    }

    #[test]
    fn a_line_in_two_halves_is_one() {
        let mut case = Case::new("halves");
        case.append("log", "one ");
        assert_eq!(case.next(), [""; 0]);
        case.append("log", "line\n");
        assert_eq!(case.next(), ["one line"]);
    }

    #[test]
    fn the_half_line_at_the_end_of_a_rotated_file_is_read_once_it_rests() {
        let mut case = Case::new("unended");
        case.append("log", "half");
        assert_eq!(case.next(), [""; 0]);
        case.rename("log", "log.1");
        case.append("log", "new\n");
        assert_eq!(case.next(), ["new"]);
        assert_eq!(case.after(5), Ok(()));
        assert_eq!(case.seen, ["half"]);
        assert_eq!(case.after(5), Ok(()));
        assert_eq!(case.seen, ["half"]);
    }

    #[test]
    fn the_half_line_of_a_rotated_file_may_still_be_ended() {
        let mut case = Case::new("ended");
        case.append("log", "half");
        case.rename("log", "log.1");
        case.append("log", "new\n");
        assert_eq!(case.next(), ["new"]);
        case.append("log.1", " whole\n");
        assert_eq!(case.next(), ["half whole"]);
    }

    #[test]
    fn a_file_that_takes_its_name_back_is_not_read_again() {
        let mut case = Case::new("back");
        case.append("log", "1\n");
        assert_eq!(case.next(), ["1"]);
        case.rename("log", "aside");
        case.append("log", "2\n");
        assert_eq!(case.next(), ["2"]);
        case.append("aside", "3\n");
        case.rename("aside", "log");
        assert_eq!(case.next(), ["3"]);
    }

    #[test]
    fn a_link_that_is_switched_leads_to_the_start_of_the_other_file() {
        let mut case = Case::new("link");
        case.append("a", "old\n");
        symlink(case.path("a"), case.path("link")).unwrap();
        case.follower = Follower::from_end(case.path("link").to_str().unwrap());
        case.append("a", "1\n");
        assert_eq!(case.next(), ["1"]);
        case.append("b", "2\n");
        fs::remove_file(case.path("link")).unwrap();
        symlink(case.path("b"), case.path("link")).unwrap();
        case.append("a", "3\n");
        assert_eq!(case.next(), ["3", "2"]);
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_read_from_its_start() {
        let mut case = Case::new("folder");
        fs::remove_file(case.path("log")).unwrap();
        fs::create_dir(case.path("log")).unwrap();
        case.follower = Follower::from_end(case.path("log").to_str().unwrap());
        assert_eq!(case.after(1), Err("Is a directory".into()));
        fs::remove_dir(case.path("log")).unwrap();
        assert!(case.after(1).is_err(), "an error goes on while there is no file");
        case.append("log", "1\n");
        assert_eq!(case.next(), ["1"]);
    }

    #[test]
    fn a_file_that_another_follower_let_go_is_read_on() {
        let mut case = Case::new("handed");
        let mut other = Follower::from_end(case.path("log.1").to_str().unwrap());
        case.append("log", "1\n");
        assert_eq!(case.next(), ["1"]);
        case.rename("log", "log.1");
        case.append("log.1", "2\n");
        other.look(case.time, &mut |meta| case.follower.release(meta)).unwrap();
        case.follower = other;
        assert_eq!(case.next(), ["2"]);
    }

    #[test]
    fn lines_after_a_cut_stand_behind_what_was_measured_before_it() {
        let mut case = Case::new("measured");
        case.append("log", "1\nhalf");
        assert_eq!(case.next(), ["1"]);
        let end = case.follower.end();
        assert_eq!(end, 6);
        fs::write(case.path("log"), "2\n").unwrap();
        case.follower.look(case.time, &mut |_| None).unwrap();
        let mut positions = Vec::new();
        case.follower.read(case.time, &mut vec![0; BUFFER], &mut |position, bytes| {
            positions.push(position);
            bytes.len()
        });
        assert_eq!(positions, [end]);
    }

    #[test]
    fn what_finds_no_room_is_read_later_at_its_position() {
        let mut case = Case::new("room");
        case.append("log", "1\n2\n3\n");
        case.follower.look(case.time, &mut |_| None).unwrap();
        let mut buffer = vec![0; BUFFER];
        let mut room = VecDeque::from([2, 0, 2, 2]);
        let mut positions = Vec::new();
        let mut take = |position: u64, bytes: &[u8]| {
            positions.push((position, bytes.len()));
            room.pop_front().unwrap()
        };
        for _ in 0..3 {
            assert!(!case.follower.read(case.time, &mut buffer, &mut take));
        }
        assert_eq!(case.follower.end(), 6);
        assert_eq!(positions, [(0, 6), (2, 4), (2, 4), (4, 2)].get(..positions.len()).unwrap());
        assert!(positions.len() >= 3);
    }
}
