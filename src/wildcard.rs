//! Patterns of people for names: `*` stands for any characters, and `?` for one.

/// Whether a pattern matches a whole text. The time is at most proportional to the product of both lengths.
pub fn matches(pattern: &str, text: &str) -> bool {
    // Most patterns differ from most texts before their first wildcard.
    let literal = pattern.find(['*', '?']).unwrap_or(pattern.len());
    if literal == pattern.len() || !text.starts_with(&pattern[..literal]) {
        return text == pattern;
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and up to where it takes the text. Only that one ever has to take more.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a pattern matches all tags of an event, or one part between commas.
pub fn matches_tags(pattern: &str, tags: &str) -> bool {
    matches(pattern, tags) || tags.split(',').any(|tag| matches(pattern, tag.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, is_match) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("nas*", "nas1", true),
            ("nas?", "nas", false),
            ("nas", "nas1", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b", "acbd", false),
            ("*ab", "aaab", true),
            ("?ü?", "äüö", true),
            ("**a", "bba", true),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)), "in bounded time");
    }

    #[test]
    fn tags_match_as_a_whole_or_by_one_part() {
        for (pattern, tags, is_match) in
            [("DISK", "DISK", true), ("DISK", "A,DISK", true), ("LOG*", "A, LOGIN", true), ("A,B", "A,B", true), ("A", "AB", false)]
        {
            assert_eq!(matches_tags(pattern, tags), is_match, "{pattern} {tags}");
        }
    }
}
