//! The names of units in `journal:`.

/// The units that an argument names: `ssh` stands for `ssh.service`, as it does for `systemctl`.
///
/// # Errors
/// No unit can have such a name.
pub(super) fn units(argument: &str) -> Result<Vec<String>, String> {
    argument.split_whitespace().map(unit).collect()
}

fn unit(name: &str) -> Result<String, String> {
    const SUFFIXES: [&str; 11] = ["service", "socket", "target", "timer", "mount", "automount", "device", "slice", "scope", "path", "swap"];
    let may_be = |c: char| c.is_ascii_alphanumeric() || "-_.@:\\*?".contains(c);
    if !name.chars().all(may_be) {
        return Err(format!("journal: {name} is not the name of a unit"));
    }
    let has_suffix = name.rsplit_once('.').is_some_and(|(_, suffix)| SUFFIXES.contains(&suffix));
    // With a wildcard at its end it may have any.
    Ok(if has_suffix || name.ends_with('*') { name.into() } else { format!("{name}.service") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_type_is_that_of_a_service() {
        for (argument, expected) in [
            ("", &[][..]),
            ("ssh", &["ssh.service"]),
            ("nginx.service  run-x.mount", &["nginx.service", "run-x.mount"]),
            ("postgresql@15-main php8.2-fpm", &["postgresql@15-main.service", "php8.2-fpm.service"]),
            ("postgresql@* user@?.service", &["postgresql@*", "user@?.service"]),
        ] {
            assert_eq!(units(argument).unwrap(), expected, "{argument}");
        }
    }

    #[test]
    fn what_cannot_be_a_unit_is_an_error() {
        for argument in ["/var/log/syslog", "ssh, nginx", "a|b", "ssh \"nginx\""] {
            assert!(units(argument).is_err(), "{argument}");
        }
    }
}
