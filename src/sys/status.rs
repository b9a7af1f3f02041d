//! The built-in commands: what the system says of its disks, memory and load, printed alike everywhere.

use crate::directives::host::Builtin;

/// What a built-in command prints.
///
/// # Errors
/// The system does not tell, or not in the form of Linux.
#[cfg(target_os = "linux")]
pub fn print(command: Builtin) -> Result<String, String> {
    match command {
        Builtin::Df => linux::df(),
        Builtin::Load => linux::load(),
        Builtin::Mem => linux::mem(),
        Builtin::Uptime => linux::uptime(),
    }
}

/// What a built-in command prints: not known how to get here.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn print(_: Builtin) -> Result<String, String> {
    Err("there are no built-in commands on this system".into())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CString;
    use std::fmt::Write;

    /// File systems that another machine serves: asking about one whose server is gone would stop the agent.
    const REMOTE: [&str; 14] =
        ["nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "fuse", "ceph", "coda", "lustre", "orangefs"];

    fn table(path: &str) -> Result<String, String> {
        crate::sys::table(path).map_err(|e| [path, ": ", &crate::sys::reason(&e)].concat())
    }

    pub(super) fn df() -> Result<String, String> {
        let mut lines: Vec<String> = Vec::new();
        let mut seen = Vec::new();
        let mounts = table("/proc/mounts")?;
        // What is mounted last over a folder is what one sees there.
        for mount in mounts.split('\n').rev() {
            let mut fields = mount.split(' ');
            let (_, Some(folder), Some(kind)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let remote = REMOTE.contains(&kind) || kind.starts_with("fuse.");
            if remote || kind == "autofs" || seen.contains(&folder) {
                continue;
            }
            seen.push(folder);
            lines.extend(df_line(folder));
        }
        // After a chroot the table need not have what is the root here.
        if !seen.contains(&"/") {
            lines.extend(df_line("/"));
        }
        lines.reverse();
        Ok(lines.concat())
    }

    fn df_line(folder: &str) -> Option<String> {
        let path = CString::new(unescape(folder)).ok()?;
        // SAFETY: all fields of the structure are numbers, for which zero is a value; the path ends in zero.
        let status = unsafe {
            let mut status: libc::statfs64 = std::mem::zeroed();
            crate::sys::check(libc::statfs64(path.as_ptr(), &mut status)).ok()?;
            status
        };
        #[allow(clippy::useless_conversion, reason = "32 bits on some systems")]
        let [blocks, free, available, inodes, free_inodes]: [u64; 5] =
            [status.f_blocks.into(), status.f_bfree.into(), status.f_bavail.into(), status.f_files.into(), status.f_ffree.into()];
        // Old kernels know only the other size.
        let size = if status.f_frsize == 0 { status.f_bsize } else { status.f_frsize };
        let size = u64::try_from(size).unwrap_or_default();
        if blocks == 0 {
            return None;
        }
        let used = used_percent(blocks.saturating_sub(free), available);
        let inodes_used = used_percent(inodes.saturating_sub(free_inodes), free_inodes);
        // Blocks are halves of a KiB or larger, and mostly whole ones.
        let kib = |blocks: u64| if size % 1024 == 0 { blocks.saturating_mul(size / 1024) } else { blocks.saturating_mul(size) / 1024 };
        Some(format!("{folder} {used}% {inodes_used}% {} {}\n", kib(available), kib(blocks)))
    }

    /// As `df` shows it: rounded up, of what users can have. A hundredth of all that the numbers can tell is beyond any disk.
    fn used_percent(used: u64, available: u64) -> u64 {
        let total = used.saturating_add(available);
        used.saturating_mul(100).div_ceil(total.max(1))
    }

    /// The table writes white space in the name of a folder as `\040` and so on.
    fn unescape(folder: &str) -> Vec<u8> {
        let bytes = folder.as_bytes();
        let mut path = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let octal = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
            let code = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
            path.push(code.unwrap_or(bytes[at]));
            at += if code.is_some() { 4 } else { 1 };
        }
        path
    }

    pub(super) fn load() -> Result<String, String> {
        let text = table("/proc/loadavg")?;
        // Behind the three averages come numbers of processes.
        let mut words = text.split(' ');
        let mut next = || words.next().unwrap_or_default();
        Ok(format!("load {} {} {}\n", next(), next(), next()))
    }

    pub(super) fn mem() -> Result<String, String> {
        mem_of(&table("/proc/meminfo")?)
    }

    fn mem_of(text: &str) -> Result<String, String> {
        let kib = |name: &str| -> Option<u64> {
            let rest = text.split('\n').find_map(|line| line.strip_prefix(name))?;
            rest.split_ascii_whitespace().next()?.parse().ok()
        };
        let total = kib("MemTotal:").ok_or("/proc/meminfo: no MemTotal")?;
        // Before Linux 3.14 there is no MemAvailable; what it estimates is mostly this sum.
        let sum = || Some(kib("MemFree:")? + kib("Buffers:")? + kib("Cached:")?);
        let available = kib("MemAvailable:").or_else(sum).unwrap_or(0).min(total);
        let (swap, swap_free) = (kib("SwapTotal:").unwrap_or(0), kib("SwapFree:").unwrap_or(0));
        let mut lines = String::new();
        for (name, available, total) in [("mem", available, total), ("swap", swap_free.min(swap), swap)] {
            let _ = writeln!(lines, "{name} {}% {available} {total}", used_percent(total - available, available));
        }
        Ok(lines)
    }

    pub(super) fn uptime() -> Result<String, String> {
        let text = table("/proc/uptime")?;
        let seconds = text.split('.').next().unwrap_or_default();
        Ok(format!("up {seconds}\n"))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn percentages_are_rounded_up() {
            for (used, available, percent) in [(0, 100, 0), (1, 999, 1), (50, 50, 50), (100, 0, 100), (0, 0, 0)] {
                assert_eq!(used_percent(used, available), percent);
            }
        }

        #[test]
        fn folders_with_white_space_are_found() {
            assert_eq!(unescape(r"/mnt/my\040disk\134x"), b"/mnt/my disk\\x");
            assert_eq!(unescape(r"/odd\0"), b"/odd\\0");
        }

        #[test]
        fn memory_of_old_kernels_is_estimated() {
            let old = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 150 kB\n";
            assert_eq!(mem_of(old).unwrap(), "mem 70% 300 1000\nswap 0% 0 0\n");
            let new = format!("{old}MemAvailable: 400 kB\nSwapTotal: 200 kB\nSwapFree: 50 kB\n");
            assert_eq!(mem_of(&new).unwrap(), "mem 60% 400 1000\nswap 75% 50 200\n");
        }

        #[test]
        fn this_system_tells() {
            let df = df().unwrap();
            assert!(df.lines().all(|line| line.split(' ').count() == 5));
            assert_eq!(df.lines().filter(|line| line.starts_with("/ ")).count(), 1);
            assert!(load().unwrap().starts_with("load "));
            assert!(uptime().unwrap()[3..].trim().parse::<u64>().is_ok());
        }
    }
}
