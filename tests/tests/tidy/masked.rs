//! A source file of which strings, characters and comments are told apart from code.

/// A source file, twice: as written, and with everything that is no code blanked out.
pub struct Source {
    /// Path from the workspace's root.
    pub name: String,
    /// The lines as written.
    pub lines: Vec<String>,
    /// The same lines with comments and the contents of literals replaced by spaces.
    pub code: Vec<String>,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Source {
        let lines = |text: &str| text.lines().map(str::to_string).collect();
        Source { name: name.to_string(), lines: lines(text), code: lines(&mask(text)) }
    }

    /// Whether this is a test: it may do what a test may do.
    pub fn is_test(&self) -> bool {
        self.name.starts_with("tests/") || self.name.contains("/tests/")
    }

    /// The line number (from 1) of the first line of the unit tests at the end of the file, or past the end.
    pub fn tests_from(&self) -> usize {
        let position = self.code.iter().position(|line| line.trim() == "#[cfg(test)]");
        position.unwrap_or(self.code.len()) + 1
    }
}

/// Blanks comments and the contents of literals, byte for byte, so that lines and columns stay.
fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(bytes, at),
            b'"' => quoted(bytes, at, b'"'),
            b'r' | b'b' | b'c' if !after_word(bytes, at) => match literal_prefix(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            b'\'' if is_char(bytes, at) => quoted(bytes, at, b'\''),
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn after_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

/// The end of a literal that starts with letters (`r"…"`, `br#"…"#`, `b'…'`, `c"…"`), if one starts here.
fn literal_prefix(bytes: &[u8], at: usize) -> Option<usize> {
    let letters = bytes[at..].iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    let raw = bytes[at..at + letters].contains(&b'r');
    let hashes = bytes[at + letters..].iter().take_while(|byte| **byte == b'#').count();
    match bytes.get(at + letters + hashes)? {
        b'"' if raw => {
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            let start = at + letters + hashes + 1;
            Some((find(bytes, start, &close) + close.len()).min(bytes.len()))
        }
        quote @ (b'"' | b'\'') if hashes == 0 => Some(quoted(bytes, at + letters, *quote)),
        _ => None,
    }
}

/// Whether the quote at `at` begins a character and not a lifetime.
fn is_char(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at + 1) {
        Some(b'\\') => true,
        Some(byte) if byte.is_ascii() => bytes.get(at + 2) == Some(&b'\''),
        Some(_) => true,
        None => false,
    }
}

fn quoted(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != quote {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

fn block_comment(bytes: &[u8], at: usize) -> usize {
    let (mut end, mut depth) = (at, 0usize);
    while end < bytes.len() {
        if bytes[end..].starts_with(b"/*") {
            (depth, end) = (depth + 1, end + 2);
        } else if bytes[end..].starts_with(b"*/") {
            (depth, end) = (depth - 1, end + 2);
            if depth == 0 {
                break;
            }
        } else {
            end += 1;
        }
    }
    end.min(bytes.len())
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    let position = bytes[from..].windows(what.len()).position(|window| window == what);
    position.map_or(bytes.len(), |position| from + position)
}

#[test]
fn masks_what_is_no_code() {
    let masked = |text: &str| mask(text).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(masked("a // unsafe {\nb"), "a b");
    assert_eq!(masked("a /* x /* y */ z */ b"), "a b");
    assert_eq!(masked(r##"f("unsafe {", r#"a " b"#, b"\"x", 'x', '\'', b'"') g"##), "f( , , , , , ) g");
    assert_eq!(masked("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    assert_eq!(masked("let crab = br\"x\";"), "let crab = ;");
    assert_eq!(mask("é \"é\n\" x").lines().count(), 2);
}
