//! Strings in the encodings of the canonical ABI (CanonicalABI.md, `load_string` and `store_string`).
//!
//! What a guest calls a string is checked once ([`Span::check`]) and then crosses in *steps*: pure functions from bytes
//! to bytes that validate what they read. [`lower`] runs the steps over a [`Side`] with the allocations that the spec
//! prescribes; compiled adapters run the same steps in the same order.

use crate::fault::Trap;
use crate::limits::MAX_STRING_BYTES;
use crate::side::{Encoding, Side};

/// Set in a length in code units: this `latin1+utf16` string is UTF-16.
pub const UTF16_TAG: u32 = 1 << 31;

/// What the code units of one string are; `latin1+utf16` decides it string by string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repr {
    /// UTF-8, one byte a unit.
    Utf8,
    /// UTF-16, little endian, two bytes a unit.
    Utf16,
    /// Latin-1, one byte a unit.
    Latin1,
}

/// Where a string is in its memory: within the limit, aligned and in bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What its code units are.
    pub repr: Repr,
    /// Where it begins.
    pub pointer: u32,
    /// Its length in bytes.
    pub bytes: u32,
}

impl Span {
    /// Checks what a guest says of a string: a pointer, and a length in code units that can carry [`UTF16_TAG`].
    ///
    /// # Errors
    /// Longer than 2^28−1 bytes, misaligned, or out of the bounds of a memory of `memory` bytes.
    pub fn check(encoding: Encoding, pointer: u32, tagged: u32, memory: usize) -> Result<Span, Trap> {
        let repr = encoding.repr(tagged);
        let units = if encoding == Encoding::CompactUtf16 { tagged & !UTF16_TAG } else { tagged };
        let bytes = u64::from(units) * u64::from(repr.unit());
        if bytes > u64::from(MAX_STRING_BYTES) {
            return Err(Trap::StringTooLong { bytes, limit: u64::from(MAX_STRING_BYTES) });
        }
        let align = encoding.align();
        if !pointer.is_multiple_of(align) {
            return Err(Trap::UnalignedPointer { what: "string", pointer: u64::from(pointer), align });
        }
        if u64::from(pointer) + bytes > memory as u64 {
            return Err(Trap::StringOutOfBounds {
                pointer: u64::from(pointer),
                bytes,
                memory: memory as u64,
            });
        }
        let bytes = u32::try_from(bytes).expect("not more than the limit");
        Ok(Span { repr, pointer, bytes })
    }
}

impl Repr {
    /// Bytes of one code unit.
    #[must_use]
    pub const fn unit(self) -> u32 {
        match self {
            Repr::Utf8 | Repr::Latin1 => 1,
            Repr::Utf16 => 2,
        }
    }
}

impl Encoding {
    /// The alignment of a string's pointer.
    #[must_use]
    pub const fn align(self) -> u32 {
        match self {
            Encoding::Utf8 => 1,
            Encoding::Utf16 | Encoding::CompactUtf16 => 2,
        }
    }

    /// What the code units of a string of this tagged length are.
    #[must_use]
    pub const fn repr(self, tagged: u32) -> Repr {
        match self {
            Encoding::Utf8 => Repr::Utf8,
            Encoding::Utf16 => Repr::Utf16,
            Encoding::CompactUtf16 if tagged & UTF16_TAG != 0 => Repr::Utf16,
            Encoding::CompactUtf16 => Repr::Latin1,
        }
    }
}

/// Lifts a string: checks and decodes it.
///
/// # Errors
/// Those of [`Span::check`], or an invalid encoding.
pub fn lift(side: &dyn Side, pointer: u32, tagged: u32) -> Result<String, Trap> {
    let memory = side.memory();
    let span = Span::check(side.encoding(), pointer, tagged, memory.len())?;
    let start = span.pointer as usize;
    decode(span.repr, &memory[start..start + span.bytes as usize])
}

/// Lifts the beginning of a string, which has `chars` characters at least if the string has; the rest is not read.
///
/// # Errors
/// Those of [`Span::check`], or an invalid encoding in the beginning.
pub fn lift_start(side: &dyn Side, pointer: u32, tagged: u32, chars: usize) -> Result<String, Trap> {
    const LONGEST_CHAR: usize = 4;
    let memory = side.memory();
    let span = Span::check(side.encoding(), pointer, tagged, memory.len())?;
    let bytes = &memory[span.pointer as usize..][..span.bytes as usize];
    let some = chars.saturating_add(1).saturating_mul(LONGEST_CHAR);
    let Some(start) = bytes.get(..some) else { return decode(span.repr, bytes) };
    let whole = match span.repr {
        Repr::Utf8 => match std::str::from_utf8(start) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => some,
        },
        // The first half of a pair.
        Repr::Utf16 if start[some - 1] & 0xFC == 0xD8 => some - 2,
        Repr::Utf16 | Repr::Latin1 => some,
    };
    decode(span.repr, &start[..whole])
}

/// Decodes the bytes of a whole string.
///
/// # Errors
/// Bytes that are not what `repr` says.
pub fn decode(repr: Repr, bytes: &[u8]) -> Result<String, Trap> {
    match repr {
        Repr::Utf8 => utf8(bytes).map(str::to_owned),
        Repr::Latin1 => Ok(bytes.iter().copied().map(char::from).collect()),
        Repr::Utf16 => Utf16(bytes).collect(),
    }
}

/// Lowers a string that a side of encoding `from` has as `repr`: allocates in this side's memory and transcodes. Gives
/// the pointer and the tagged length in code units.
///
/// The allocations are those of `store_string_into_range`: first for the best case, again for the worst case when the
/// best one fails, last to give back what was not needed.
///
/// # Errors
/// A trap in `realloc`, a region from it that is misaligned or out of bounds, bytes that are not what `repr` says, or a
/// string that is too long.
pub fn lower(side: &mut dyn Side, from: Encoding, repr: Repr, src: &[u8]) -> Result<(u32, u32), Trap> {
    let bytes = u32::try_from(src.len()).ok().filter(|bytes| *bytes <= MAX_STRING_BYTES);
    let Some(bytes) = bytes else {
        return Err(Trap::StringTooLong { bytes: src.len() as u64, limit: u64::from(MAX_STRING_BYTES) });
    };
    let units = bytes / repr.unit();
    match (repr, side.encoding()) {
        (Repr::Utf8, Encoding::Utf8) => copy(side, Step::CopyUtf8, src, 1, units, units),
        (Repr::Utf16, Encoding::Utf16) => copy(side, Step::CopyUtf16, src, 2, bytes, units),
        (Repr::Latin1, Encoding::Utf16) => copy(side, Step::WidenLatin1, src, 2, 2 * units, units),
        (Repr::Latin1, Encoding::CompactUtf16) => copy(side, Step::CopyLatin1, src, 2, units, units),
        (Repr::Utf16, Encoding::Utf8) => {
            to_utf8(side, [Step::AsciiOfUtf16, Step::Utf16ToUtf8], src, units, 3 * units)
        }
        (Repr::Latin1, Encoding::Utf8) => {
            to_utf8(side, [Step::AsciiOfLatin1, Step::Latin1ToUtf8], src, units, 2 * units)
        }
        (Repr::Utf8, Encoding::Utf16) => to_utf16(side, src, units),
        (Repr::Utf8, Encoding::CompactUtf16) => {
            to_compact(side, [Step::Latin1OfUtf8, Step::Utf8ToUtf16], src, units)
        }
        // A `latin1+utf16` side had its reasons to use UTF-16; a `utf16` side had no choice.
        (Repr::Utf16, Encoding::CompactUtf16) if from == Encoding::CompactUtf16 => {
            probably_utf16(side, src, bytes)
        }
        (Repr::Utf16, Encoding::CompactUtf16) => {
            to_compact(side, [Step::Latin1OfUtf16, Step::CopyUtf16], src, units)
        }
    }
}

/// `store_string_copy`: the size is known beforehand.
fn copy(
    side: &mut dyn Side,
    step: Step,
    src: &[u8],
    align: u32,
    bytes: u32,
    units: u32,
) -> Result<(u32, u32), Trap> {
    let pointer = side.allocate(0, 0, align, bytes)?;
    step.run(src, side.region(pointer, bytes)?)?;
    Ok((pointer, units))
}

/// `store_string_to_utf8`: hopes for ASCII.
fn to_utf8(
    side: &mut dyn Side,
    steps: [Step; 2],
    src: &[u8],
    units: u32,
    worst: u32,
) -> Result<(u32, u32), Trap> {
    let mut pointer = side.allocate(0, 0, 1, units)?;
    let ascii = steps[0].run(src, side.region(pointer, units)?)?;
    if ascii.read as usize == src.len() {
        return Ok((pointer, units));
    }
    pointer = side.allocate(pointer, units, 1, worst)?;
    let rest = &mut side.region(pointer, worst)?[ascii.written as usize..];
    let bytes = ascii.written + steps[1].run(&src[ascii.read as usize..], rest)?.written;
    if bytes < worst {
        pointer = side.allocate(pointer, worst, 1, bytes)?;
    }
    Ok((pointer, bytes))
}

/// `store_utf8_to_utf16`: hopes for ASCII too, by having room for two bytes a source byte.
fn to_utf16(side: &mut dyn Side, src: &[u8], units: u32) -> Result<(u32, u32), Trap> {
    let worst = 2 * units;
    let mut pointer = side.allocate(0, 0, 2, worst)?;
    let bytes = Step::Utf8ToUtf16.run(src, side.region(pointer, worst)?)?.written;
    if bytes < worst {
        pointer = side.allocate(pointer, worst, 2, bytes)?;
    }
    Ok((pointer, bytes / 2))
}

/// `store_string_to_latin1_or_utf16`: hopes for Latin-1.
fn to_compact(side: &mut dyn Side, steps: [Step; 2], src: &[u8], units: u32) -> Result<(u32, u32), Trap> {
    let mut pointer = side.allocate(0, 0, 2, units)?;
    let latin1 = steps[0].run(src, side.region(pointer, units)?)?;
    if latin1.read as usize == src.len() {
        if latin1.written < units {
            pointer = side.allocate(pointer, units, 2, latin1.written)?;
        }
        return Ok((pointer, latin1.written));
    }
    let worst = 2 * units;
    pointer = side.allocate(pointer, units, 2, worst)?;
    let region = side.region(pointer, worst)?;
    let (head, rest) = region.split_at_mut(2 * latin1.written as usize);
    Step::WidenInPlace.run(&[], head)?;
    let bytes = 2 * latin1.written + steps[1].run(&src[latin1.read as usize..], rest)?.written;
    if bytes < worst {
        pointer = side.allocate(pointer, worst, 2, bytes)?;
    }
    Ok((pointer, (bytes / 2) | UTF16_TAG))
}

/// `store_probably_utf16_to_latin1_or_utf16`: expects UTF-16, shrinks when it was Latin-1 all along.
fn probably_utf16(side: &mut dyn Side, src: &[u8], bytes: u32) -> Result<(u32, u32), Trap> {
    let mut pointer = side.allocate(0, 0, 2, bytes)?;
    Step::CopyUtf16.run(src, side.region(pointer, bytes)?)?;
    let units = bytes / 2;
    if Step::NarrowInPlace.run(&[], side.region(pointer, bytes)?)?.written != units {
        return Ok((pointer, units | UTF16_TAG));
    }
    pointer = side.allocate(pointer, bytes, 1, units)?;
    Ok((pointer, units))
}

/// One pass over bytes; the number is what compiled code passes to the kernel.
///
/// Every step reads whole characters, validates what it reads, and never writes beyond its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Step {
    /// UTF-8 as it is.
    CopyUtf8,
    /// UTF-16 as it is.
    CopyUtf16,
    /// Latin-1 as it is.
    CopyLatin1,
    /// Latin-1 to UTF-16.
    WidenLatin1,
    /// UTF-8 to UTF-16.
    Utf8ToUtf16,
    /// UTF-16 to UTF-8.
    Utf16ToUtf8,
    /// Latin-1 to UTF-8.
    Latin1ToUtf8,
    /// UTF-16 to UTF-8, as far as it is ASCII.
    AsciiOfUtf16,
    /// Latin-1 to UTF-8, as far as it is ASCII.
    AsciiOfLatin1,
    /// UTF-8 to Latin-1, as far as it goes.
    Latin1OfUtf8,
    /// UTF-16 to Latin-1, as far as it goes.
    Latin1OfUtf16,
    /// Latin-1 in the first half of the destination becomes UTF-16 in all of it; reads no source.
    WidenInPlace,
    /// UTF-16 in all of the destination becomes Latin-1 in its first half if it can, else nothing is written; reads no
    /// source.
    NarrowInPlace,
}

/// How far a step got, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Bytes of the source.
    pub read: u32,
    /// Bytes of the destination.
    pub written: u32,
}

impl Step {
    /// How many bytes of its source a step may be given when it is to do `limit` at most, at least one character: the
    /// next ones begin another character. All of what it does in one piece anyway.
    #[must_use]
    pub fn piece(self, source: &[u8], limit: usize) -> usize {
        if source.len() <= limit {
            return source.len();
        }
        match self {
            Step::CopyUtf8 | Step::Utf8ToUtf16 | Step::Latin1OfUtf8 => {
                let continues = |end: &usize| source[*end] & 0xC0 == 0x80;
                let ends = (limit.saturating_sub(3).max(1)..=limit).rev();
                // Bytes that are no UTF-8 are found out wherever they are cut.
                ends.into_iter().find(|end| !continues(end)).unwrap_or(limit)
            }
            Step::CopyUtf16 | Step::Utf16ToUtf8 | Step::AsciiOfUtf16 | Step::Latin1OfUtf16 => {
                let end = limit.max(4) / 2 * 2;
                if end < source.len() && source[end - 1] & 0xFC == 0xD8 {
                    end - 2
                } else {
                    end.min(source.len())
                }
            }
            Step::CopyLatin1 | Step::WidenLatin1 | Step::Latin1ToUtf8 | Step::AsciiOfLatin1 => limit,
            Step::WidenInPlace | Step::NarrowInPlace => source.len(),
        }
    }

    /// Every step, by number.
    pub const ALL: [Step; 13] = [
        Step::CopyUtf8,
        Step::CopyUtf16,
        Step::CopyLatin1,
        Step::WidenLatin1,
        Step::Utf8ToUtf16,
        Step::Utf16ToUtf8,
        Step::Latin1ToUtf8,
        Step::AsciiOfUtf16,
        Step::AsciiOfLatin1,
        Step::Latin1OfUtf8,
        Step::Latin1OfUtf16,
        Step::WidenInPlace,
        Step::NarrowInPlace,
    ];

    /// Runs the step.
    ///
    /// # Errors
    /// The source is not what the step reads, or the destination is too short for it.
    pub fn run(self, src: &[u8], dst: &mut [u8]) -> Result<Done, Trap> {
        let (read, written) = match self {
            Step::CopyUtf8 => exact(utf8(src)?.as_bytes(), dst)?,
            Step::CopyUtf16 => {
                Utf16(src).try_for_each(|c| c.map(|_| ()))?;
                exact(src, dst)?
            }
            Step::CopyLatin1 => exact(src, dst)?,
            Step::WidenLatin1 => put(src.iter().map(|b| Ok(char::from(*b))), dst, put_utf16, |_| 1)?,
            Step::Utf8ToUtf16 => put(utf8(src)?.chars().map(Ok), dst, put_utf16, char::len_utf8)?,
            Step::Utf16ToUtf8 => put(Utf16(src), dst, put_utf8, |c| 2 * c.len_utf16())?,
            Step::Latin1ToUtf8 => put(src.iter().map(|b| Ok(char::from(*b))), dst, put_utf8, |_| 1)?,
            Step::AsciiOfUtf16 => {
                let ascii = src.chunks_exact(2).take_while(|unit| unit[0] < 0x80 && unit[1] == 0);
                let ascii = ascii.zip(dst).map(|(unit, to)| *to = unit[0]).count();
                (2 * ascii, ascii)
            }
            Step::AsciiOfLatin1 => {
                let ascii = src.iter().take_while(|b| b.is_ascii()).zip(dst).map(|(b, to)| *to = *b).count();
                (ascii, ascii)
            }
            Step::Latin1OfUtf8 => {
                let chars = utf8(src)?.chars().take_while(|c| u32::from(*c) < 0x100);
                put(chars.map(Ok), dst, put_latin1, char::len_utf8)?
            }
            Step::Latin1OfUtf16 => {
                let latin1 = src.chunks_exact(2).take_while(|unit| unit[1] == 0);
                let latin1 = latin1.zip(dst).map(|(unit, to)| *to = unit[0]).count();
                (2 * latin1, latin1)
            }
            Step::WidenInPlace => {
                for i in (0..dst.len() / 2).rev() {
                    (dst[2 * i], dst[2 * i + 1]) = (dst[i], 0);
                }
                (0, dst.len())
            }
            Step::NarrowInPlace => {
                if dst.chunks_exact(2).any(|unit| unit[1] != 0) {
                    return Ok(Done::default());
                }
                (0..dst.len() / 2).for_each(|i| dst[i] = dst[2 * i]);
                (0, dst.len() / 2)
            }
        };
        let length = |bytes| u32::try_from(bytes).map_err(|_| CHANGED);
        Ok(Done { read: length(read)?, written: length(written)? })
    }
}

/// Cannot be seen unless the source changes between two steps, as memory that both sides share can.
const CHANGED: Trap = Trap::Unsupported("a string that changes while it is copied");

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Trap> {
    std::str::from_utf8(bytes).map_err(|error| match error.error_len() {
        Some(_) => Trap::InvalidUtf8,
        None => Trap::IncompleteUtf8,
    })
}

fn exact(src: &[u8], dst: &mut [u8]) -> Result<(usize, usize), Trap> {
    dst.get_mut(..src.len()).ok_or(CHANGED)?.copy_from_slice(src);
    Ok((src.len(), src.len()))
}

/// The characters of UTF-16 bytes.
struct Utf16<'b>(&'b [u8]);

impl Iterator for Utf16<'_> {
    type Item = Result<char, Trap>;

    fn next(&mut self) -> Option<Result<char, Trap>> {
        let (unit, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        let high = u32::from(u16::from_le_bytes(*unit));
        if let Some(c) = char::from_u32(high) {
            return Some(Ok(c));
        }
        let low = self.0.split_first_chunk().map(|(unit, rest)| (u32::from(u16::from_le_bytes(*unit)), rest));
        match low {
            Some((low @ 0xDC00..=0xDFFF, rest)) if high < 0xDC00 => {
                self.0 = rest;
                let c = char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00));
                Some(Ok(c.expect("a pair of surrogates is a character")))
            }
            _ => Some(Err(Trap::InvalidUtf16)),
        }
    }
}

/// Writes characters with `write` until they end; `read` says what each took of the source.
fn put(
    chars: impl Iterator<Item = Result<char, Trap>>,
    dst: &mut [u8],
    write: impl Fn(char, &mut [u8]) -> Option<usize>,
    read: impl Fn(char) -> usize,
) -> Result<(usize, usize), Trap> {
    let mut done = (0, 0);
    for c in chars {
        let c = c?;
        done.0 += read(c);
        done.1 += write(c, &mut dst[done.1..]).ok_or(CHANGED)?;
    }
    Ok(done)
}

fn put_utf8(c: char, dst: &mut [u8]) -> Option<usize> {
    (c.len_utf8() <= dst.len()).then(|| c.encode_utf8(dst).len())
}

fn put_utf16(c: char, dst: &mut [u8]) -> Option<usize> {
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units);
    for (unit, to) in units.iter().zip(dst.get_mut(..2 * units.len())?.chunks_exact_mut(2)) {
        to.copy_from_slice(&unit.to_le_bytes());
    }
    Some(2 * units.len())
}

fn put_latin1(c: char, dst: &mut [u8]) -> Option<usize> {
    *dst.first_mut()? = u8::try_from(u32::from(c)).ok()?;
    Some(1)
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn pieces_end_between_characters() {
        let text = "aé€𝄞".repeat(20);
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for limit in 4..30 {
            for (step, source) in [(Step::CopyUtf8, text.as_bytes()), (Step::Utf16ToUtf8, units.as_slice())] {
                let (mut at, mut out) = (0, Vec::new());
                while at < source.len() {
                    let end = at + step.piece(&source[at..], limit);
                    assert!(end > at && end - at <= limit);
                    let mut room = vec![0; 200];
                    let done = step.run(&source[at..end], &mut room).unwrap();
                    out.extend_from_slice(&room[..done.written as usize]);
                    at = end;
                }
                assert_eq!(out, text.as_bytes());
            }
        }
    }
}
