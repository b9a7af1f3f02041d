//! The user that `-u` names, and becoming it for good.
#![allow(unsafe_code, reason = "setuid and the like")]

use std::io;

/// The first four fields of a line of `/etc/passwd` or `/etc/group`.
fn fields(line: &str) -> Option<[&str; 4]> {
    let mut fields = line.split(':');
    Some([fields.next()?, fields.next()?, fields.next()?, fields.next()?])
}

/// The number of the user as whom this process acts.
pub fn effective_id() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// A user of this system and its groups, the primary one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    id: libc::uid_t,
    groups: Vec<libc::gid_t>,
}

impl User {
    /// Finds a user by name or number in `/etc/passwd`, and its groups in `/etc/group`.
    ///
    /// # Errors
    /// There is no such user, or `/etc/passwd` cannot be read.
    pub fn find(name: &str) -> Result<Self, String> {
        let users = super::file::table("/etc/passwd").map_err(|e| super::error::reason(&e))?;
        let groups = super::file::table("/etc/group").unwrap_or_default();
        Self::find_in(name, &users, &groups).ok_or_else(|| "there is no such user".into())
    }

    /// The number of the user.
    pub fn id(&self) -> u32 {
        self.id
    }

    fn find_in(wanted: &str, users: &str, groups: &str) -> Option<Self> {
        let mut lines = users.split('\n');
        let (name, id, group) = loop {
            if let Some([name, _, id, group]) = fields(lines.next()?) {
                if let (true, Ok(id), Ok(group)) = (name == wanted || id == wanted, id.parse(), group.parse()) {
                    break (name, id, group);
                }
            }
        };
        let mut all = vec![group];
        for line in groups.split('\n') {
            let Some([_, _, id, members]) = fields(line) else { continue };
            match id.parse() {
                Ok(id) if id != group && members.split(',').any(|member| member == name) => all.push(id),
                _ => {}
            }
        }
        Some(Self { id, groups: all })
    }

    /// Makes this process, and all that it starts, run as that user for good: without capabilities, and without the way back that
    /// set-user-ID programs such as `sudo` would be.
    ///
    /// # Errors
    /// The system refuses, or would let the process back.
    pub fn become_for_good(&self) -> io::Result<()> {
        let (id, group) = (self.id, self.groups[0]);
        super::harden::give_up_privileges()?;
        // SAFETY: the list outlives the call, and its length is passed; the other calls touch no memory.
        unsafe {
            super::error::check(libc::setgroups(self.groups.len() as _, self.groups.as_ptr()))?;
            super::error::check(libc::setgid(group))?;
            super::error::check(libc::setuid(id))?;
            let stays = libc::getuid() == id && libc::geteuid() == id && libc::getgid() == group && libc::getegid() == group;
            if !stays || id != 0 && (libc::setuid(0) == 0 || libc::setgid(0) == 0 && group != 0) {
                // The process can still become root again.
                return Err(io::Error::from_raw_os_error(libc::EPERM));
            }
        }
        super::harden::forbid_dumps();
        Ok(())
    }
}

/// The names of the users of this system.
pub struct UserNames {
    users: String,
}

impl UserNames {
    /// Reads `/etc/passwd`. Without it no user has a name.
    pub fn read() -> Self {
        Self { users: super::file::table("/etc/passwd").unwrap_or_default() }
    }

    /// Whether that is the name of some number.
    pub fn is_known(&self, name: &str) -> bool {
        let mut named = self.users.split('\n').filter_map(fields).filter(|[known, ..]| *known == name);
        named.any(|[_, _, id, _]| id.parse().is_ok_and(|id| self.name(id) == name))
    }

    /// The name of the user of that number, or nothing.
    pub fn name(&self, id: u32) -> &str {
        let names = self.users.split('\n').filter_map(fields).filter(|[_, _, of, _]| of.parse() == Ok(id));
        names.map(|[name, ..]| name).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_first_name_that_stands_for_it() {
        let names = UserNames { users: "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nbroken\nann:x:1000:5::/:\n".into() };
        assert_eq!((names.name(0), names.name(1000), names.name(5)), ("root", "ann", ""));
        assert_eq!(["root", "ann", "toor", "broken", "x", ""].map(|name| names.is_known(name)), [true, true, false, false, false, false]);
    }

    #[test]
    fn a_user_has_its_own_group_and_those_that_list_it() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nmonitor:x:105:110::/:/bin/false\nx:x:y:z\n";
        let groups = "root:x:0:\nadm:x:4:syslog,monitor\nmonitor:x:110:monitor\nnot:x:7:monitor2,amonitor\nbroken\n";
        let monitor = Some(User { id: 105, groups: vec![110, 4] });
        assert_eq!(User::find_in("monitor", users, groups), monitor);
        assert_eq!(User::find_in("105", users, groups), monitor);
        assert_eq!(User::find_in("root", users, ""), Some(User { id: 0, groups: vec![0] }));
        for nobody in ["nobody", "", "x", "110"] {
            assert_eq!(User::find_in(nobody, users, groups), None, "{nobody}");
        }
    }
}
