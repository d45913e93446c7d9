//! How many lines of code a file has: what is left without comments, documentation, blank lines
//! and tests.
//!
//! No parser, because none comes with the standard library; the lexical rules of strings, comments
//! and braces are enough to count lines.

/// The lines of code of a Rust file.
pub(crate) fn rust_lines(text: &str) -> usize {
    without_tests(&bare(text)).lines().filter(|line| !line.trim().is_empty()).count()
}

/// The lines of code of a Python file.
pub(crate) fn python_lines(text: &str) -> usize {
    const QUOTES: &str = "\"\"\"";
    let mut count = 0;
    let (mut in_text, mut in_docstring) = (false, false);
    for line in text.lines().map(str::trim) {
        if !in_text {
            in_docstring = line.trim_start_matches(['r', 'R']).starts_with(QUOTES);
        }
        let is_comment = !in_text && line.starts_with('#');
        if !(line.is_empty() || is_comment || in_docstring) {
            count += 1;
        }
        // A text of several lines is open after a line with one of its two marks.
        in_text ^= !is_comment && line.matches(QUOTES).count() % 2 == 1;
        in_docstring &= in_text;
    }
    count
}

/// Rust without comments, and with nothing in its literals that could be taken for code. Lines
/// stay where they are.
fn bare(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, is_comment) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), true)
        } else if rest.starts_with("/*") {
            (block_comment(rest), true)
        } else {
            let after_word = kept.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            (literal(rest, after_word), false)
        };
        if length == 0 {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let filler = if is_comment { ' ' } else { '_' };
        kept.extend(rest[..length].chars().map(|c| if c == '\n' { c } else { filler }));
        rest = &rest[length..];
    }
    kept
}

/// The length of the block comment that `text` begins with; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of the string or character that `text` begins with, or 0. After a word an `r` is no
/// prefix, and a quote that opens no character is a lifetime.
fn literal(text: &str, after_word: bool) -> usize {
    let raw = text.trim_start_matches(['b', 'c']).strip_prefix('r').filter(|_| !after_word);
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let open = text.len() - raw.len() + hashes + 1;
            return text[open..].find(&end).map_or(text.len(), |at| open + at + end.len());
        }
    }
    if text.starts_with('"') {
        return escaped(text, '"');
    }
    let mut after = text.chars().skip(1);
    let is_character =
        text.starts_with('\'') && (after.next() == Some('\\') || after.next() == Some('\''));
    if is_character { escaped(text, '\'') } else { 0 }
}

/// The length of a literal that ends in `quote` unless a backslash stands before it.
fn escaped(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return at + 1;
        }
    }
    text.len()
}

/// Bare Rust without the items that are compiled for tests only.
fn without_tests(bare: &str) -> String {
    let mut kept = String::with_capacity(bare.len());
    let mut rest = bare;
    while let Some(start) =
        ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|attribute| rest.find(attribute)).min()
    {
        kept.push_str(&rest[..start]);
        rest = &rest[start + item(&rest[start..])..];
    }
    kept + rest
}

/// The length of an item: to the brace that closes it, or to the semicolon of one that has none.
fn item(text: &str) -> usize {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(character, '}' | ';') {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blank_lines_and_documentation_are_no_code() {
        let text = "//! Head.\n\n/// Doc.\nfn f() { // why\n    /* a\n { b */\n    1\n}\n";
        assert_eq!(rust_lines(text), 3);
    }

    #[test]
    fn tests_are_no_code() {
        let text = "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { \"}\"; }\n}\nfn h() {}\n";
        assert_eq!(rust_lines(text), 2);
        assert_eq!(rust_lines("#[cfg(all(test, not(shuttle)))]\nmod tests;\nfn f() {}\n"), 1);
    }

    #[test]
    fn braces_in_literals_close_nothing() {
        let text = "#[cfg(test)]\nmod tests {\n    const A: [char; 2] = ['}', '\\''];\n    \
                    const B: &str = r#\"}\"}\"#;\n    fn f<'a>(x: &'a str) {}\n}\nfn h() {}\n";
        assert_eq!(rust_lines(text), 1);
    }

    #[test]
    fn a_literal_of_many_lines_is_code() {
        assert_eq!(rust_lines("const A: &str = \"a\n// b\nc\";\n"), 3);
    }

    #[test]
    fn docstrings_are_no_python_code() {
        let text = [
            r#""""Head.""""#,
            "",
            "# why",
            "def f():",
            r#"    r""""#,
            "    One.",
            r#"    """"#,
            r#"    return """"#,
            r#"two""""#,
        ];
        assert_eq!(python_lines(&text.join("\n")), 3);
    }
}
