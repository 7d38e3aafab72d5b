//! PTX text to tokens.

use super::Error;

/// A word or a punctuation mark, with its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    pub text: &'t str,
    pub line: u32,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'%' | b'.')
}

/// Splits `text`. Names keep their dots and `::`, so `ld.shared::cta.f32` is one token, while the
/// directives `.reg.b32` are two; strings keep their quotes; every other mark stands alone.
pub fn tokens(text: &str) -> Result<Vec<Token<'_>>, Error> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let first = bytes[at];
        if first == b'\n' {
            line += 1;
            at += 1;
        } else if first.is_ascii_whitespace() {
            at += 1;
        } else if bytes[at..].starts_with(b"//") {
            at += bytes[at..].iter().position(|&b| b == b'\n').unwrap_or(bytes.len() - at);
        } else if bytes[at..].starts_with(b"/*") {
            let end = text[at + 2..]
                .find("*/")
                .ok_or_else(|| Error::new(line, "comment without an end"))?;
            line += bytes[at..at + 2 + end].iter().filter(|&&b| b == b'\n').count() as u32;
            at += end + 4;
        } else if first == b'"' {
            let end = text[at + 1..]
                .find('"')
                .ok_or_else(|| Error::new(line, "string without an end"))?;
            at += end + 2;
            tokens.push(Token { text: &text[start..at], line });
        } else if is_word(first) {
            while at < bytes.len() {
                let glued = first == b'.' && bytes[at] == b'.' && at > start;
                if is_word(bytes[at]) && !glued {
                    at += 1;
                } else if bytes[at..].starts_with(b"::") {
                    at += 2;
                } else {
                    break;
                }
            }
            tokens.push(Token { text: &text[start..at], line });
        } else if first.is_ascii() {
            at += 1;
            tokens.push(Token { text: &text[start..at], line });
        } else {
            return Err(Error::new(line, "character outside ASCII"));
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn names_keep_dots_and_scopes() {
        let text = "@!%p1 ld.shared::cta.v2.f32 {%f1, %f2}, [a+4]; // c\n$L: .loc 1 2 3 /* x\n */ \"s;\" .reg.b32 C";
        let words: Vec<_> = tokens(text).unwrap().into_iter().map(|t| (t.text, t.line)).collect();
        let expected = [
            ("@", 1),
            ("!", 1),
            ("%p1", 1),
            ("ld.shared::cta.v2.f32", 1),
            ("{", 1),
            ("%f1", 1),
            (",", 1),
            ("%f2", 1),
            ("}", 1),
            (",", 1),
            ("[", 1),
            ("a", 1),
            ("+", 1),
            ("4", 1),
            ("]", 1),
            (";", 1),
            ("$L", 2),
            (":", 2),
            (".loc", 2),
            ("1", 2),
            ("2", 2),
            ("3", 2),
            ("\"s;\"", 3),
            (".reg", 3),
            (".b32", 3),
            ("C", 3),
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn open_comments_are_errors() {
        assert_eq!(tokens("\n/* x").unwrap_err().line, 2);
    }
}
