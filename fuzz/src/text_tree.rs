//! WebAssembly's text as a tree that can be varied: what comes out is well-formed far more often than varied bytes.

use abi::sample::Sampler;

/// A list or what stands between lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `(…)`
    List(Vec<Node>),
    /// A word, a number, a string with its quotes.
    Atom(String),
}

/// Numbers that limits and lengths are wrong about.
const NUMBERS: [&str; 10] =
    ["0", "1", "2", "7", "31", "100", "65536", "268435455", "2147483648", "4294967295"];
/// Types of values, each of which may stand where another one stands.
const TYPES: [&str; 12] =
    ["bool", "u8", "s16", "u32", "s64", "f32", "f64", "char", "string", "error-context", "i32", "i64"];
/// A varied text has at most this many nodes: subtrees are doubled.
const MAX_NODES: usize = 20_000;

impl Node {
    /// The lists of a text, comments left out. What is not closed ends with the text.
    #[must_use]
    pub fn parse(text: &str) -> Node {
        let mut open = vec![Vec::new()];
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let taken = match first {
                ';' => rest.find('\n').unwrap_or(rest.len()),
                '(' => {
                    open.push(Vec::new());
                    1
                }
                ')' => {
                    close(&mut open);
                    1
                }
                '"' => atom(&mut open, rest, string_end(rest)),
                _ if first.is_whitespace() => first.len_utf8(),
                _ => {
                    let ends = |c: char| c.is_whitespace() || "();\"".contains(c);
                    atom(&mut open, rest, rest.find(ends).unwrap_or(rest.len()))
                }
            };
            rest = &rest[taken..];
        }
        while open.len() > 1 {
            close(&mut open);
        }
        Node::List(open.pop().unwrap_or_default())
    }

    /// The text of a whole tree.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = String::new();
        if let Node::List(nodes) = self {
            nodes.iter().for_each(|node| node.write(&mut text));
        }
        text
    }

    /// Changes one place of the tree, perhaps into a part of `other`.
    pub fn vary(&mut self, other: &Node, sampler: &mut Sampler<'_>) {
        let (mine, theirs) = (self.count(), other.count());
        let at = number(sampler) % mine;
        let graft = other.nth(number(sampler) % theirs).cloned();
        let same = self.nth(number(sampler) % mine).cloned();
        let room = mine < MAX_NODES;
        let choice = sampler.below(8);
        let Some(node) = self.nth_mut(at) else { return };
        match (choice, node) {
            (0, Node::List(nodes)) => {
                let gone = number(sampler) % nodes.len().max(1);
                if gone < nodes.len() {
                    nodes.remove(gone);
                }
            }
            (1, Node::List(nodes)) if room => {
                let twice = number(sampler) % nodes.len().max(1);
                nodes.extend(nodes.get(twice).cloned());
            }
            (2, Node::List(nodes)) if nodes.len() > 1 => {
                let (a, b) = (number(sampler) % nodes.len(), number(sampler) % nodes.len());
                nodes.swap(a, b);
            }
            (3 | 4, node) => replace_alike(node, graft, room),
            (_, node @ Node::List(_)) => replace_alike(node, same, room),
            (_, Node::Atom(atom)) => {
                let list: &[&str] =
                    if atom.starts_with(|c: char| c.is_ascii_digit()) { &NUMBERS } else { &TYPES };
                if list == NUMBERS || TYPES.contains(&atom.as_str()) {
                    *atom = list[sampler.below(list.len() as u32) as usize].to_owned();
                } else if let Some(Node::Atom(same)) = same {
                    *atom = same;
                }
            }
        }
    }

    fn write(&self, text: &mut String) {
        match self {
            Node::Atom(atom) => text.push_str(atom),
            Node::List(nodes) => {
                text.push('(');
                nodes.iter().for_each(|node| node.write(text));
                text.push(')');
            }
        }
        text.push(' ');
    }

    fn count(&self) -> usize {
        match self {
            Node::Atom(_) => 1,
            Node::List(nodes) => 1 + nodes.iter().map(Node::count).sum::<usize>(),
        }
    }

    fn nth(&self, mut at: usize) -> Option<&Node> {
        let mut node = self;
        while at > 0 {
            at -= 1;
            let Node::List(nodes) = node else { return None };
            node = nodes.iter().find(|node| step(node.count(), &mut at))?;
        }
        Some(node)
    }

    fn nth_mut(&mut self, mut at: usize) -> Option<&mut Node> {
        let mut node = self;
        while at > 0 {
            at -= 1;
            let Node::List(nodes) = node else { return None };
            node = nodes.iter_mut().find(|node| step(node.count(), &mut at))?;
        }
        Some(node)
    }

    fn head(&self) -> Option<&str> {
        match self {
            Node::List(nodes) => match nodes.first() {
                Some(Node::Atom(head)) => Some(head),
                _ => None,
            },
            Node::Atom(_) => None,
        }
    }
}

/// Whether the `at`-th node is in a part of `count` nodes; else counts on behind it.
fn step(count: usize, at: &mut usize) -> bool {
    let here = *at < count;
    if !here {
        *at -= count;
    }
    here
}

/// Puts a part where one of the same kind was, as `(func …)` for `(func …)`, or behind its head.
fn replace_alike(node: &mut Node, part: Option<Node>, room: bool) {
    let Some(part) = part else { return };
    if !room && part.count() > node.count() {
        return;
    }
    if node.head() == part.head() {
        *node = part;
    } else if let (Node::List(nodes), Node::List(_)) = (&mut *node, &part) {
        nodes.push(part);
    }
}

fn number(sampler: &mut Sampler<'_>) -> usize {
    (sampler.below(256) << 8 | sampler.below(256)) as usize
}

fn close(open: &mut Vec<Vec<Node>>) {
    let list = Node::List(open.pop().unwrap_or_default());
    match open.last_mut() {
        Some(outer) => outer.push(list),
        None => open.push(vec![list]),
    }
}

fn atom(open: &mut [Vec<Node>], text: &str, end: usize) -> usize {
    if let Some(list) = open.last_mut() {
        list.push(Node::Atom(text[..end].to_owned()));
    }
    end
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use abi::sample::Sampler;

    use super::Node;

    const TEXT: &str = "(a \"b)\\\"\" ;; c\n (d 1)) (e)";

    #[test]
    fn what_is_parsed_is_printed() {
        let tree = Node::parse(TEXT);
        assert_eq!(tree.print(), "(a \"b)\\\"\" (d 1 ) ) (e ) ");
        assert_eq!(Node::parse(&tree.print()), tree);
    }

    #[test]
    fn any_choice_varies_any_tree() {
        for choice in 0..=u16::MAX {
            let [a, b] = choice.to_le_bytes();
            let mut tree = Node::parse(TEXT);
            tree.vary(&Node::parse("(d (x 2)) y"), &mut Sampler::new(&[0, a, 0, b, 0, a, b, 0, a, 0, b]));
        }
    }
}
