//! Names that are not ASCII, as DNS has them (RFC 5891): each label in lower case and in Punycode (RFC 3492).
//!
//! Characters are expected composed (NFC), as keyboards and editors write them; one that is not gives another name, which
//! nobody has.

use crate::grants::rule::normal_name;
use crate::limits::MAX_NAME_BYTES;

/// The name in ASCII and lower case, without a dot at its end; `None` if it is none.
pub(crate) fn to_ascii(name: &str) -> Option<String> {
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    if name.is_ascii() {
        return normal_name(name);
    }
    // Ideographic and half-width full stops are dots too (RFC 3490, section 3.1).
    let labels = name.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).map(|label| {
        let label = label.to_lowercase();
        if label.is_ascii() { Some(label) } else { Some(format!("xn--{}", punycode(&label)?)) }
    });
    normal_name(&labels.collect::<Option<Vec<_>>>()?.join("."))
}

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

/// RFC 3492, section 6.3. `None` on overflow, which no label that fits into DNS comes to.
fn punycode(label: &str) -> Option<String> {
    let basic: String = label.chars().filter(char::is_ascii).collect();
    let basic_count = u32::try_from(basic.len()).ok()?;
    let mut output = basic;
    if basic_count > 0 {
        output.push('-');
    }
    let total = u32::try_from(label.chars().count()).ok()?;
    let (mut n, mut delta, mut bias, mut handled) = (INITIAL_N, 0u32, INITIAL_BIAS, basic_count);
    while handled < total {
        let next = label.chars().map(u32::from).filter(|code| *code >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for code in label.chars().map(u32::from) {
            if code < n {
                delta = delta.checked_add(1)?;
            }
            if code == n {
                push_number(&mut output, delta, bias);
                bias = adapt(delta, handled + 1, handled == basic_count);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(output)
}

fn push_number(output: &mut String, mut value: u32, bias: u32) {
    let mut position = BASE;
    loop {
        let threshold = position.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if value < threshold {
            output.push(digit(value));
            return;
        }
        output.push(digit(threshold + (value - threshold) % (BASE - threshold)));
        value = (value - threshold) / (BASE - threshold);
        position += BASE;
    }
}

fn digit(value: u32) -> char {
    char::from_digit((value + 10) % BASE, BASE).expect("a digit is below the base")
}

fn adapt(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > ((BASE - T_MIN) * T_MAX) / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::to_ascii;

    #[test]
    fn names_become_ascii() {
        for (name, ascii) in [
            ("Example.COM.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("münchen", "xn--mnchen-3ya"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"),
        ] {
            assert_eq!(to_ascii(name).as_deref(), Some(ascii));
        }
        for wrong in ["", ".", "a..b", "a b", "-a", "a-", &"ü".repeat(64), &"a".repeat(64), "a/b", "1\0"] {
            assert_eq!(to_ascii(wrong), None, "{wrong}");
        }
    }
}
