//! The built-in commands `@df`, `@load`, `@mem` and `@uptime`. Their output has the same form on every system.

use crate::directives::host::Builtin;

/// Runs a built-in command and returns its output.
///
/// # Errors
/// `/proc` cannot be read or lacks a field.
#[cfg(target_os = "linux")]
pub(in crate::run) fn run(command: Builtin) -> Result<String, String> {
    match command {
        Builtin::Df => linux::df(),
        Builtin::Load => linux::load(),
        Builtin::Mem => linux::mem(),
        Builtin::Uptime => linux::uptime(),
    }
}

/// Not implemented for this system.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(in crate::run) fn run(_: Builtin) -> Result<String, String> {
    Err("there are no built-in commands on this system".into())
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::sys::disk::DiskSpace;
    use std::ffi::CString;
    use std::fmt::Write;

    /// File systems that another machine serves. `statfs` on one hangs, and the agent with it, while that machine is down.
    const REMOTE: [&str; 14] =
        ["nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "fuse", "ceph", "coda", "lustre", "orangefs"];

    fn table(path: &str) -> Result<String, String> {
        crate::sys::table(path).map_err(|e| [path, ": ", &crate::sys::reason(&e)].concat())
    }

    pub(super) fn df() -> Result<String, String> {
        let mut lines: Vec<String> = Vec::new();
        let mut seen = Vec::new();
        let mounts = table("/proc/mounts")?;
        // The last mount on a folder hides earlier ones, so read the table backwards and keep the first of each folder.
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
        // After a chroot the table may lack an entry for the root.
        if !seen.contains(&"/") {
            lines.extend(df_line("/"));
        }
        lines.reverse();
        Ok(lines.concat())
    }

    fn df_line(folder: &str) -> Option<String> {
        let path = CString::new(unescape(folder)).ok()?;
        let DiskSpace { block_size, blocks, free, available, inodes, free_inodes } = DiskSpace::of(&path).ok()?;
        if blocks == 0 {
            return None;
        }
        let used = used_percent(blocks.saturating_sub(free), available);
        let inodes_used = used_percent(inodes.saturating_sub(free_inodes), free_inodes);
        // Divide first where that is exact: the product could overflow.
        let kib = |blocks: u64| match block_size % 1024 {
            0 => blocks.saturating_mul(block_size / 1024),
            _ => blocks.saturating_mul(block_size) / 1024,
        };
        Some(format!("{folder} {used}% {inodes_used}% {} {}\n", kib(available), kib(blocks)))
    }

    /// The percentage in use, as `df` prints it: of the space that users can have, rounded up. Correct up to `u64::MAX / 100`.
    fn used_percent(used: u64, available: u64) -> u64 {
        let total = used.saturating_add(available);
        used.saturating_mul(100).div_ceil(total.max(1))
    }

    /// Decodes `\040` and the like, by which `/proc/mounts` writes white space and backslashes.
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
        // The three averages come first, then counts of processes.
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
        // Linux before 3.14 has no MemAvailable; this sum is close to it.
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
        fn every_builtin_command_works_on_this_system() {
            let df = df().unwrap();
            assert!(df.lines().all(|line| line.split(' ').count() == 5));
            assert_eq!(df.lines().filter(|line| line.starts_with("/ ")).count(), 1);
            assert!(load().unwrap().starts_with("load "));
            assert!(uptime().unwrap()[3..].trim().parse::<u64>().is_ok());
        }
    }
}
