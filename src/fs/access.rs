//! What the owner of a device allows with `-f`: the folders below which files may be looked at. Outside of them nothing is looked at:
//! no file is opened or examined, no link is read, no folder is listed. So nobody can learn from here what exists there.

use super::{dir, regular};
use crate::sys::{open_to_read, Links};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// Which files may be looked at. A clone shares the same limits.
#[derive(Clone, Debug)]
pub struct Access {
    /// `None` where everything is allowed.
    limits: Option<Rc<Limits>>,
}

/// Why a file cannot be looked at or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// An error of the system, by its number (`errno`).
    System(i32),
    /// The path leads outside of the allowed folders. Whether anything is there is unknown.
    Refused,
    /// It is something else than a regular file: what it is.
    NotRegular(&'static str),
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location<'a> {
    /// To an allowed folder or below it. The path has no links, as far as it exists.
    Inside(Cow<'a, Path>),
    /// To a folder that contains an allowed one. It exists, and only the way to the allowed one may be followed.
    Above(PathBuf),
}

#[derive(Debug)]
struct Limits {
    /// Where relative paths begin.
    working_folder: PathBuf,
    folders: Vec<Folder>,
}

#[derive(Debug)]
struct Folder {
    /// A path that leads to the folder.
    path: PathBuf,
    /// The same without links.
    real: PathBuf,
}

impl Access {
    /// Every file may be looked at.
    pub fn unrestricted() -> Self {
        Self { limits: None }
    }

    /// Only files in these folders, and in folders below them, may be looked at. A path is taken as it is given and with its links
    /// resolved; it may be that of a single file.
    ///
    /// # Errors
    /// The first path that does not exist or cannot be resolved, and why.
    pub fn below<'f>(paths: &[&'f str]) -> Result<Self, (&'f str, io::Error)> {
        let mut limits = Limits { working_folder: PathBuf::new(), folders: Vec::new() };
        for path in paths {
            limits.add(Path::new(path)).map_err(|e| (*path, e))?;
        }
        Ok(Self { limits: Some(Rc::new(limits)) })
    }

    /// Opens a regular file for reading; never waits. What was opened is checked too, in case a link was changed meanwhile.
    ///
    /// # Errors
    /// The file is refused, is no regular file, or cannot be opened.
    pub fn open(&self, path: &Path) -> Result<File, AccessError> {
        self.regular(path)?;
        let path = self.inside(path)?;
        let file = match &self.limits {
            Some(limits) => limits.check_opened(open_to_read(&path, Links::None)?, &path)?,
            None => open_to_read(&path, Links::Followed)?,
        };
        match regular::odd_kind(&file.metadata()?) {
            Some(what) => Err(AccessError::NotRegular(what)),
            None => Ok(file),
        }
    }

    /// What `stat(2)` tells of a file that can be a log.
    ///
    /// # Errors
    /// The file is refused, there is none, or it is no regular file.
    pub fn regular(&self, path: &Path) -> Result<Metadata, AccessError> {
        let meta = self.metadata(path)?;
        match regular::odd(&self.inside(path)?, &meta) {
            Some(what) => Err(AccessError::NotRegular(what)),
            None => Ok(meta),
        }
    }

    /// What `stat(2)` tells.
    ///
    /// # Errors
    /// The file is refused, or there is none.
    pub fn metadata(&self, path: &Path) -> Result<Metadata, AccessError> {
        let path = self.inside(path)?;
        if self.limits.is_none() {
            return Ok(fs::metadata(path)?);
        }
        // All links are resolved; one that has come meanwhile is not followed.
        match fs::symlink_metadata(path)? {
            meta if meta.is_symlink() => Err(AccessError::Refused),
            meta => Ok(meta),
        }
    }

    /// What `lstat(2)` tells.
    ///
    /// # Errors
    /// The file is refused, or there is none.
    pub fn link_metadata(&self, path: &Path) -> Result<Metadata, AccessError> {
        match dir::split(path.as_os_str().as_bytes()) {
            (_, b"" | b"." | b"..") => self.metadata(path),
            (folder, name) => Ok(fs::symlink_metadata(self.inside(Path::new(OsStr::from_bytes(folder)))?.join(OsStr::from_bytes(name)))?),
        }
    }

    /// The path without links.
    ///
    /// # Errors
    /// The file is refused, or there is none.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf, AccessError> {
        let path = self.inside(if path.as_os_str().is_empty() { Path::new(".") } else { path })?;
        if self.limits.is_none() {
            return Ok(fs::canonicalize(path)?);
        }
        fs::symlink_metadata(&path)?;
        Ok(path.into_owned())
    }

    /// Calls `each` with every name in a folder and its inode. An empty path stands for the working folder.
    ///
    /// # Errors
    /// The folder is refused or cannot be read.
    pub fn list(&self, folder: &Path, each: &mut dyn FnMut(&[u8], u64)) -> Result<(), AccessError> {
        Ok(dir::list(self.inside(folder)?.as_os_str().as_bytes(), each)?)
    }

    fn inside<'p>(&self, path: &'p Path) -> Result<Cow<'p, Path>, AccessError> {
        match self.locate(path)? {
            Location::Inside(path) => Ok(path),
            Location::Above(_) => Err(AccessError::Refused),
        }
    }

    /// Finds out where a path leads, without looking at anything outside of the allowed folders. The last part need not exist.
    ///
    /// # Errors
    /// The path leads outside, or a part of it that is inside cannot be passed.
    pub(super) fn locate<'p>(&self, path: &'p Path) -> Result<Location<'p>, AccessError> {
        self.limits.as_ref().map_or(Ok(Location::Inside(Cow::Borrowed(path))), |limits| limits.locate(path))
    }

    /// The names in a folder that contains allowed ones which lead to these.
    pub(super) fn names_towards(&self, above: &Path) -> Vec<&OsStr> {
        let folders = self.limits.iter().flat_map(|limits| &limits.folders);
        let mut names = Vec::new();
        for rest in folders.filter_map(|folder| folder.path.strip_prefix(above).ok()) {
            match rest.components().next() {
                Some(Component::Normal(name)) if !names.contains(&name) => names.push(name),
                _ => {}
            }
        }
        names
    }
}

impl Limits {
    /// Links that one path may lead over, as in Linux.
    const MAX_LINKS: usize = 40;

    fn add(&mut self, path: &Path) -> io::Result<()> {
        self.working_folder = std::env::current_dir()?;
        // What is allowed must be what its path says: a link of proc may lead to another mount namespace.
        if self.working_folder.join(path).ancestors().any(|part| part.is_symlink() && part.parent().is_some_and(regular::is_in_proc)) {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        let real = fs::canonicalize(path)?;
        let path = self.working_folder.join(path);
        // Where a link stands before it, `..` leads elsewhere than it seems to.
        if path.components().all(|part| part != Component::ParentDir) && path != real {
            self.folders.push(Folder { path, real: real.clone() });
        }
        self.folders.push(Folder { path: real.clone(), real });
        Ok(())
    }

    fn locate(&self, path: &Path) -> Result<Location<'static>, AccessError> {
        // What is still to be walked, the next part last.
        let mut rest = Vec::new();
        push_parts(&mut rest, path);
        if path.is_relative() {
            push_parts(&mut rest, &self.working_folder);
        }
        let (mut here, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = rest.pop() {
            if part == ".." {
                here.pop();
                continue;
            }
            here.push(part);
            if let Some(folder) = self.folders.iter().find(|folder| folder.path == here) {
                here = folder.resolved()?;
            } else if !self.is_inside(&here) {
                if !self.is_above(&here) {
                    return Err(AccessError::Refused);
                }
            } else if let Some(target) = link_target(&here, rest.is_empty())? {
                links += 1;
                if links > Self::MAX_LINKS {
                    return Err(AccessError::System(libc::ELOOP));
                }
                push_parts(&mut rest, &target);
                if target.is_absolute() {
                    here = PathBuf::from("/");
                } else {
                    here.pop();
                }
            }
        }
        if !self.is_inside(&here) {
            return Ok(Location::Above(here));
        }
        if path.as_os_str().as_bytes().ends_with(b"/") {
            // Then it is no file.
            here.push("");
        }
        Ok(Location::Inside(Cow::Owned(here)))
    }

    fn is_inside(&self, real: &Path) -> bool {
        self.folders.iter().any(|folder| real.starts_with(&folder.real))
    }

    fn is_above(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| folder.path.starts_with(path))
    }

    /// Returns the file if it lies inside, wherever its path led when it was opened.
    fn check_opened(&self, file: File, path: &Path) -> Result<File, AccessError> {
        let is_inside = match fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
            Ok(real) => self.is_inside(&real),
            // Without /proc it must be the file that its path leads to now.
            Err(_) => match self.locate(path)? {
                Location::Inside(real) => {
                    let (opened, there) = (file.metadata()?, fs::symlink_metadata(real)?);
                    (opened.dev(), opened.ino()) == (there.dev(), there.ino())
                }
                Location::Above(_) => false,
            },
        };
        if is_inside {
            Ok(file)
        } else {
            Err(AccessError::Refused)
        }
    }
}

impl Folder {
    /// The folder without links, which must be those that were there at the start.
    fn resolved(&self) -> Result<PathBuf, AccessError> {
        if self.path == self.real || fs::canonicalize(&self.path).is_ok_and(|real| real == self.real) {
            Ok(self.real.clone())
        } else {
            Err(AccessError::Refused)
        }
    }
}

/// Adds the parts of a path in reverse.
fn push_parts(parts: &mut Vec<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => parts.push(name.into()),
            Component::ParentDir => parts.push("..".into()),
            _ => {}
        }
    }
}

/// Where a link leads; `None` for what is no link. The last part of a path need not exist. A link of proc is refused: some, such as
/// `/proc/PID/root`, lead to another mount namespace, and their text is a path of that one.
fn link_target(path: &Path, is_last: bool) -> Result<Option<PathBuf>, AccessError> {
    match fs::read_link(path) {
        Ok(_) if path.parent().is_some_and(regular::is_in_proc) => Err(AccessError::Refused),
        Ok(target) => Ok(Some(target)),
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) || (is_last && e.kind() == io::ErrorKind::NotFound) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

impl AccessError {
    /// Whether there is no file of that name.
    pub fn is_missing(self) -> bool {
        self == Self::System(libc::ENOENT)
    }
}

impl From<io::Error> for AccessError {
    fn from(error: io::Error) -> Self {
        Self::System(match error.raw_os_error() {
            Some(code) => code,
            // A path with a zero byte.
            None if error.kind() == io::ErrorKind::InvalidInput => libc::EINVAL,
            None => libc::EIO,
        })
    }
}

impl fmt::Display for AccessError {
    /// System errors in the words of `strerror(3)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused, since it is not below what -f allows"),
            Self::NotRegular(what) => write!(f, "it is {what}, not a regular file"),
            Self::System(code) => {
                let text = io::Error::from_raw_os_error(*code).to_string();
                f.write_str(text.rsplit_once(" (os error").map_or(&*text, |(words, _)| words))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "files to look at")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;
    use std::os::unix::fs::symlink;

    /// `logs` is allowed; the rest lies outside. It holds links of every kind.
    struct Site {
        root: TestFolder,
        access: Access,
    }

    impl Site {
        fn new() -> Self {
            let root = TestFolder::new();
            for folder in ["logs/sub", "private", "logs-not"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            for file in ["logs/good", "logs/sub/deep", "private/secret", "logs-not/secret"] {
                fs::write(root.join(file), file).unwrap();
            }
            for (link, target) in [
                ("logs/to-secret", "../private/secret"),
                ("logs/to-nothing", "../private/nothing"),
                ("logs/to-private", "../private"),
                ("logs/inner", "sub/../good"),
                ("logs/over-the-top", "../logs/sub/deep"),
                ("logs/loop", "loop"),
                ("private/back", "../logs"),
                ("alias", "logs"),
            ] {
                symlink(target, root.join(link)).unwrap();
            }
            symlink(root.join("logs/good"), root.join("logs/absolute")).unwrap();
            let access = Access::below(&[root.join("logs").to_str().unwrap()]).unwrap();
            Self { root, access }
        }

        fn read(&self, path: &str) -> Result<String, AccessError> {
            let mut file = self.access.open(&self.root.join(path))?;
            let mut text = String::new();
            io::Read::read_to_string(&mut file, &mut text)?;
            Ok(text)
        }
    }

    const MISSING: AccessError = AccessError::System(libc::ENOENT);

    #[test]
    fn what_lies_below_is_read_by_whatever_way_it_is_named() {
        let site = Site::new();
        for (path, real) in [
            ("logs/good", "logs/good"),
            ("logs/sub/deep", "logs/sub/deep"),
            ("logs/./sub/../good", "logs/good"),
            ("logs/../logs/good", "logs/good"),
            ("logs/inner", "logs/good"),
            ("logs/over-the-top", "logs/sub/deep"),
            ("logs/absolute", "logs/good"),
        ] {
            assert_eq!(site.read(path), Ok(real.to_string()), "{path}");
            assert_eq!(site.access.resolve(&site.root.join(path)), Ok(site.root.join(real)), "{path}");
            assert!(site.access.metadata(&site.root.join(path)).unwrap().is_file(), "{path}");
        }
        for (path, error) in [
            ("logs/none", MISSING),
            ("logs/none/../good", MISSING),
            ("logs/good/", AccessError::System(libc::ENOTDIR)),
            ("logs/loop", AccessError::System(libc::ELOOP)),
        ] {
            assert_eq!(site.read(path), Err(error), "{path}");
            assert_eq!(site.access.metadata(&site.root.join(path)).unwrap_err(), error, "{path}");
        }
    }

    #[test]
    fn what_lies_outside_is_refused_alike_whether_it_exists_or_not() {
        let site = Site::new();
        for path in [
            "private/secret",
            "private/nothing",
            "nothing/at/all",
            "logs-not/secret",
            "logs/../private/secret",
            "logs/../private/nothing",
            "logs/to-secret",
            "logs/to-nothing",
            "logs/to-private",
            "logs/to-private/secret",
            "logs/to-private/nothing",
            // That a link outside leads back is not found out either.
            "private/back/good",
            "alias/good",
            // A folder that contains the allowed one.
            "",
        ] {
            let path = &site.root.join(path);
            assert_eq!(site.access.open(path).unwrap_err(), AccessError::Refused, "{}", path.display());
            assert_eq!(site.access.metadata(path).unwrap_err(), AccessError::Refused, "{}", path.display());
            assert_eq!(site.access.resolve(path).unwrap_err(), AccessError::Refused, "{}", path.display());
            assert_eq!(site.access.list(path, &mut |_, _| ()), Err(AccessError::Refused), "{}", path.display());
        }
    }

    #[test]
    fn a_link_itself_is_examined_where_its_folder_is_allowed() {
        let site = Site::new();
        for link in ["logs/to-secret", "logs/to-nothing", "logs/inner"] {
            assert!(site.access.link_metadata(&site.root.join(link)).unwrap().is_symlink(), "{link}");
        }
        for (path, error) in [("private/back", AccessError::Refused), ("logs/..", AccessError::Refused), ("logs/none", MISSING)] {
            assert_eq!(site.access.link_metadata(&site.root.join(path)).unwrap_err(), error, "{path}");
        }
    }

    #[test]
    fn the_path_that_was_allowed_is_good_though_it_is_a_link_until_it_leads_elsewhere() {
        let mut site = Site::new();
        site.access = Access::below(&[site.root.join("alias").to_str().unwrap()]).unwrap();
        for path in ["alias/good", "logs/good"] {
            assert_eq!(site.read(path), Ok("logs/good".into()), "{path}");
        }
        fs::remove_file(site.root.join("alias")).unwrap();
        symlink("private", site.root.join("alias")).unwrap();
        assert_eq!(site.read("alias/secret"), Err(AccessError::Refused));
        assert_eq!(site.read("alias/nothing"), Err(AccessError::Refused));
    }

    #[test]
    fn a_single_file_can_be_allowed() {
        let mut site = Site::new();
        site.access = Access::below(&[site.root.join("logs/good").to_str().unwrap()]).unwrap();
        assert_eq!(site.read("logs/good"), Ok("logs/good".into()));
        for path in ["logs/sub/deep", "logs/none", "logs"] {
            assert_eq!(site.read(path), Err(AccessError::Refused), "{path}");
        }
    }

    #[test]
    fn what_was_opened_counts_where_a_link_has_changed_meanwhile() {
        let site = Site::new();
        let limits = site.access.limits.as_ref().unwrap();
        let opened = |path: &str| File::open(site.root.join(path)).unwrap();
        assert!(limits.check_opened(opened("logs/good"), &site.root.join("logs/good")).is_ok());
        assert_eq!(limits.check_opened(opened("private/secret"), &site.root.join("logs/good")).unwrap_err(), AccessError::Refused);
    }

    #[test]
    fn a_folder_that_is_missing_cannot_be_allowed() {
        let (path, error) = Access::below(&["/", "/does/not/exist"]).unwrap_err();
        assert_eq!((path, error.kind()), ("/does/not/exist", io::ErrorKind::NotFound));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn links_of_proc_lead_nowhere() {
        let access = Access::below(&["/"]).unwrap();
        for path in ["/proc/self/root/etc/passwd", "/proc/self/cwd/Cargo.toml", "/proc/self/fd/0"] {
            assert_eq!(access.open(path.as_ref()).unwrap_err(), AccessError::Refused, "{path}");
        }
        let (path, error) = Access::below(&["/proc/self/root/etc"]).unwrap_err();
        assert_eq!((path, error.raw_os_error()), ("/proc/self/root/etc", Some(libc::ELOOP)));
    }

    #[test]
    fn a_link_that_has_come_after_the_check_is_not_followed() {
        let site = Site::new();
        for path in ["logs/to-secret", "logs/to-private/secret", "logs/inner"] {
            assert!(open_to_read(&site.root.join(path), Links::None).is_err(), "{path}");
            assert!(open_to_read(&site.root.join(path), Links::Followed).is_ok(), "{path}");
        }
        assert!(open_to_read(&site.root.join("logs/good"), Links::None).is_ok());
    }

    #[test]
    fn without_limits_everything_is_looked_at() {
        let mut site = Site::new();
        site.access = Access::unrestricted();
        assert_eq!(site.read("logs/to-private/secret"), Ok("private/secret".into()));
        assert_eq!(site.read("logs/to-nothing"), Err(MISSING));
        site.access = Access::below(&["/"]).unwrap();
        assert_eq!(site.read("logs/to-private/secret"), Ok("private/secret".into()));
    }

    #[test]
    fn errors_are_worded_as_the_system_does() {
        assert_eq!(MISSING.to_string(), "No such file or directory");
        assert_eq!(AccessError::NotRegular("a directory").to_string(), "it is a directory, not a regular file");
        let zero = Access::unrestricted().open(Path::new("a\0b")).unwrap_err();
        assert_eq!(zero.to_string(), "Invalid argument");
    }
}
