//! Edges by a pattern, as a person writes it.

use crate::edges::EdgeRow;

/// A pattern in which `*` stands for any characters, and `?` for one. It is tried on an edge's function
/// (`shop:kv/store#get`), on its ends (`front → store`, or `front->store`), and on both (`front->store
/// shop:kv/store#get`), names and paths alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeGlob(String);

impl EdgeGlob {
    /// The pattern of a text; every text is one.
    #[must_use]
    pub fn new(text: &str) -> EdgeGlob {
        EdgeGlob(plain(text))
    }

    /// Whether an edge fits.
    #[must_use]
    pub fn matches(&self, edge: &EdgeRow) -> bool {
        let (caller, callee) = (&edge.caller, &edge.callee);
        let ends = [
            format!("{}->{}", caller.name(), callee.name()),
            format!("{caller}->{callee}"),
            format!("{}->host", caller.name()),
        ];
        let ends = &ends[..if matches!(callee, crate::edges::End::Server(_)) { 3 } else { 2 }];
        fits(&self.0, &plain(&edge.function))
            || ends.iter().any(|ends| {
                let ends = plain(ends);
                fits(&self.0, &ends) || fits(&self.0, &format!("{ends}{}", plain(&edge.function)))
            })
    }
}

/// Without spaces, and with one kind of arrow.
fn plain(text: &str) -> String {
    text.replace('→', "->").chars().filter(|next| !next.is_whitespace()).collect()
}

/// Whether a text is what a pattern stands for. Goes back to the last star only, so it takes no longer than both are
/// long, multiplied.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut next, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(next) {
            Some('*') => {
                star = Some((next, at));
                next += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[at] => (at, next) = (at + 1, next + 1),
            _ => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                (at, next) = (taken + 1, behind + 1);
            }
        }
    }
    pattern[next..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_stand_for_anything() {
        let fitting = [
            ("*", ""),
            ("shop:kv/*", "shop:kv/store#get"),
            ("*#g?t", "shop:kv/store#get"),
            ("*a*ab", "aab"),
            ("a**", "a"),
        ];
        fitting.iter().for_each(|(pattern, text)| assert!(fits(pattern, text), "{pattern} {text}"));
        let others = [("", "a"), ("*#get", "x#gets"), ("?", ""), ("a*b", "acd")];
        others.iter().for_each(|(pattern, text)| assert!(!fits(pattern, text), "{pattern} {text}"));
        assert!(!fits(&"*a".repeat(2000), &"a".repeat(1000)));
    }
}
