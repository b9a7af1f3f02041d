//! Paths with wildcards.

use std::ffi::{CStr, CString};

/// The paths that a pattern matches now, sorted; those that are not UTF-8 are left out.
pub fn matches(pattern: &str) -> Vec<String> {
    let Ok(pattern) = CString::new(pattern) else { return Vec::new() };
    // SAFETY: the structure is zeroed as `glob` expects it without flags that say otherwise, the strings that it is filled with live
    // until `globfree`, and there are `gl_pathc` of them.
    unsafe {
        let mut found: libc::glob_t = std::mem::zeroed();
        let mut paths = Vec::new();
        if libc::glob(pattern.as_ptr(), 0, None, &mut found) == 0 {
            #[allow(clippy::unnecessary_cast, reason = "the type differs between systems")]
            for i in 0..found.gl_pathc as usize {
                let path = CStr::from_ptr(*found.gl_pathv.add(i));
                paths.extend(path.to_str().map(str::to_string));
            }
        }
        libc::globfree(&mut found);
        paths
    }
}
