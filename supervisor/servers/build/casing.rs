//! WIT names as Rust names.

/// Words that a Rust identifier must not be, unless it is raw.
const KEYWORDS: [&str; 46] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "use", "virtual", "where", "while",
];

/// Words that cannot even be raw, and the name of the receiver that generated methods use.
const RESERVED: [&str; 5] = ["self", "super", "crate", "yield", "this"];

/// Types of the prelude that generated code names.
const PRELUDE: [&str; 6] = ["Self", "Result", "Option", "Vec", "String", "Host"];

/// `input-stream` as a value or module: `input_stream`.
pub fn snake(name: &str) -> String {
    let snake = name.replace('-', "_").to_ascii_lowercase();
    if name == "self" {
        "this".to_owned()
    } else if RESERVED.contains(&snake.as_str()) {
        snake + "_"
    } else if KEYWORDS.contains(&snake.as_str()) {
        format!("r#{snake}")
    } else {
        snake
    }
}

/// `input-stream` as a type or case: `InputStream`.
pub fn camel(name: &str) -> String {
    let camel: String = name.split('-').map(capital).collect();
    if PRELUDE.contains(&camel.as_str()) { camel + "_" } else { camel }
}

/// `input-stream` as a constant: `INPUT_STREAM`.
pub fn constant(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}
