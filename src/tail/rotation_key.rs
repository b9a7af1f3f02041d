//! In which order files were rotated, as far as their times and names tell. Looks at no file.

use super::rotation_name::{Form, RotationName, Stamp};
use super::stat::Mtime;
use std::cmp::Ordering;

/// What tells when a file was rotated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RotationKey {
    pub(super) mtime: Mtime,
    /// `None` if no known rotation gives that name.
    pub(super) name: Option<RotationName>,
}

impl RotationKey {
    /// Whether this file was rotated after the other. The times and the names of the two may disagree, because of late writers and of
    /// rotations that count upwards: then this file is newer if it was written to at `since` or later.
    pub(super) fn is_newer(&self, other: &Self, since: Option<Mtime>) -> bool {
        if !self.is_rotated_like(other) {
            return false;
        }
        match (self.mtime.cmp(&other.mtime), self.order_by_name(other)) {
            (Ordering::Greater, None | Some(Ordering::Greater)) | (Ordering::Equal, Some(Ordering::Greater)) => true,
            (Ordering::Less, None) | (Ordering::Less | Ordering::Equal, Some(Ordering::Less | Ordering::Equal)) => false,
            _ => self.is_since(since),
        }
    }

    /// Whether the file was written to at that time or later.
    pub(super) fn is_since(&self, since: Option<Mtime>) -> bool {
        since.is_some_and(|since| self.mtime >= since)
    }

    /// Whether the name alone says that the file belongs to the log: `web-1.log` may be a log beside `web.log`.
    pub(super) fn is_rotated_for_sure(&self) -> bool {
        self.name.as_ref().is_some_and(|name| name.form != Form::BeforeExtension || !matches!(name.stamp, Stamp::Number(_)))
    }

    /// Whether the rotation that gave the other file its name may have given this one its own.
    fn is_rotated_like(&self, other: &Self) -> bool {
        match (&self.name, &other.name) {
            (Some(one), Some(other)) => one.form == other.form || [one.form, other.form].contains(&Form::Target),
            _ => self.is_rotated_for_sure(),
        }
    }

    /// The order in which files were rotated: by their times, then by their names.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let kind = |key: &Self| key.name.as_ref().map(RotationName::kind);
        let by_name = || self.order_by_name(other).unwrap_or_else(|| kind(self).cmp(&kind(other)));
        self.mtime.cmp(&other.mtime).then_with(by_name)
    }

    /// The order of rotation by the names alone; `None` if they do not tell.
    fn order_by_name(&self, other: &Self) -> Option<Ordering> {
        self.name.as_ref()?.order(other.name.as_ref()?)
    }

    /// The number in a name of that form.
    pub(super) fn number(&self, form: Form) -> Option<i32> {
        match self.name {
            Some(RotationName { form: own, stamp: Stamp::Number(number) }) if own == form => Some(number),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_between_files_of_one_time() {
        let key = |number: i32| RotationKey { mtime: 1, name: Some(RotationName { form: Form::Appended, stamp: Stamp::Number(-number) }) };
        assert!(key(1).is_newer(&key(2), None));
        assert!(!key(2).is_newer(&key(1), None));
    }
    #[test]
    fn a_number_before_the_extension_belongs_to_a_rotation_only_if_another_file_was_given_one() {
        let key = |mtime, form, number| RotationKey { mtime, name: Some(RotationName { form, stamp: Stamp::Number(number) }) };
        let other = key(2, Form::BeforeExtension, -1);
        assert!(other.is_newer(&key(1, Form::BeforeExtension, -2), None));
        assert!(!other.is_newer(&key(1, Form::Appended, -2), None));
        assert!(!other.is_newer(&RotationKey { mtime: 1, name: None }, Some(1)));
        assert!(key(2, Form::Appended, -1).is_newer(&RotationKey { mtime: 1, name: None }, Some(1)));
    }
}
