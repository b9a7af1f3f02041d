//! The page that the server shows: its files, as they are embedded. It asks nobody but this server.

/// The media type and the bytes of a file of the page.
type Asset = (&'static str, &'static [u8]);

const SCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// A file without its indentation and its lines of comment: a tenth less to embed and to send.
macro_rules! squeezed {
    ($file:literal) => {{
        const TEXT: &[u8] = include_bytes!($file);
        const LENGTH: usize = squeeze::<{ TEXT.len() }>(TEXT).1;
        const SQUEEZED: [u8; LENGTH] = squeeze::<LENGTH>(TEXT).0;
        &SQUEEZED
    }};
}

const ASSETS: &[(&str, &str, &[u8])] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("index.html")),
    ("/page.css", "text/css; charset=utf-8", squeezed!("page.css")),
    ("/page.js", SCRIPT, squeezed!("page.js")),
    ("/api.js", SCRIPT, squeezed!("api.js")),
    ("/dom.js", SCRIPT, squeezed!("dom.js")),
    ("/events.js", SCRIPT, squeezed!("events.js")),
    ("/host.js", SCRIPT, squeezed!("host.js")),
    ("/metrics.js", SCRIPT, squeezed!("metrics.js")),
    ("/overview.js", SCRIPT, squeezed!("overview.js")),
    ("/parts.js", SCRIPT, squeezed!("parts.js")),
    ("/plot.js", SCRIPT, squeezed!("plot.js")),
    ("/server.js", SCRIPT, squeezed!("server.js")),
    ("/silence.js", SCRIPT, squeezed!("silence.js")),
    ("/icon.svg", ICON, include_bytes!("icon.svg")),
    ("/icon-open.svg", ICON, include_bytes!("icon-open.svg")),
];

/// The file of the page at a path, without the query.
pub(super) fn asset(path: &str) -> Option<Asset> {
    ASSETS.iter().find(|(name, ..)| *name == path).map(|(_, media_type, bytes)| (*media_type, *bytes))
}

/// The text without the spaces that begin a line, and without lines that begin with `//`; and its length. Each line stays where it was,
/// so that the browser names the lines of the file. What does not fit into `N` bytes is left out.
const fn squeeze<const N: usize>(text: &[u8]) -> ([u8; N], usize) {
    let (mut squeezed, mut length, mut at) = ([0; N], 0, 0);
    let (mut is_start, mut is_comment) = (true, false);
    while at < text.len() {
        let byte = text[at];
        is_comment = is_comment || is_start && byte == b'/' && at + 1 < text.len() && text[at + 1] == b'/';
        is_start = byte == b'\n' || is_start && byte == b' ';
        is_comment = is_comment && byte != b'\n';
        if byte == b'\n' || !is_start && !is_comment {
            if length < N {
                squeezed[length] = byte;
            }
            length += 1;
        }
        at += 1;
    }
    (squeezed, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most bytes of all files of the page together.
    const MOST_BYTES: usize = 60_000;

    #[test]
    fn indentation_and_comments_are_not_sent_and_lines_keep_their_numbers() {
        let (squeezed, length) = squeeze::<64>(b"// why\n  a;\n\n    // b\n  c = 1 / 2; // d\n//");
        assert_eq!(std::str::from_utf8(&squeezed[..length]).unwrap(), "\na;\n\n\nc = 1 / 2; // d\n");
    }

    fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
        ASSETS.iter().map(|(name, _, bytes)| (*name, std::str::from_utf8(bytes).unwrap()))
    }

    /// What stands between two marks in a text, each time.
    fn between<'a>(text: &'a str, start: &'a str, end: char) -> impl Iterator<Item = &'a str> {
        text.split(start).skip(1).filter_map(move |rest| Some(&rest[..rest.find(end)?]))
    }

    #[test]
    fn the_page_is_small() {
        let bytes: usize = ASSETS.iter().map(|(.., bytes)| bytes.len()).sum();
        assert!(bytes <= MOST_BYTES, "{bytes}");
    }

    #[test]
    fn every_file_that_the_page_names_is_there_and_no_other() {
        let mut named = vec!["/".to_string(), "/icon-open.svg".into()];
        for (name, text) in texts() {
            if name == "/" {
                let files = between(text, "src=\"", '"').chain(between(text, "href=\"", '"')).filter(|file| !file.starts_with('#'));
                named.extend(files.map(|file| format!("/{file}")));
            } else {
                named.extend(between(text, "from \"./", '"').map(|file| format!("/{file}")));
            }
        }
        named.sort();
        named.dedup();
        let mut known: Vec<String> = ASSETS.iter().map(|(name, ..)| (*name).to_string()).collect();
        known.sort();
        assert_eq!(named, known);
        assert!(asset("/page.js").is_some_and(|(media_type, _)| media_type == SCRIPT) && asset("/mod.rs").is_none());
    }

    #[test]
    fn the_page_asks_nobody_else_and_makes_no_markup_of_texts() {
        for (name, text) in texts() {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in
                ["http:", "https:", "\"//", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
            {
                assert!(!text.contains(forbidden), "{name}: {forbidden}");
            }
            if name == "/" {
                assert!(
                    !text.contains(" style=")
                        && !text.contains(" on")
                        && !text.contains("<style")
                        && between(&text, "<script", '<').count() == 1
                );
            }
        }
    }
}
