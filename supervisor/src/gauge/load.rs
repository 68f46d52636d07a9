//! What the guests of `atoll bench ipc` send each other, and the guests.

use std::fmt::Write as _;

/// One row: what a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its name.
    pub name: &'static str,
    /// The export that sends it.
    pub export: &'static str,
    /// How many: bytes, elements.
    pub size: u32,
    /// Bytes that are copied; 0 where everything is in registers.
    pub bytes: u32,
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

/// All loads. A record is a `u32`, a `u64` and an `f64`: 24 bytes with its padding.
pub const LOADS: [Load; 8] = [
    Load { name: "u32 pair", export: "pair", size: 0, bytes: 0 },
    Load { name: "string 16 B", export: "text", size: 16, bytes: 16 },
    Load { name: "string 1 KiB", export: "text", size: KIB, bytes: KIB },
    Load { name: "string 64 KiB", export: "text", size: 64 * KIB, bytes: 64 * KIB },
    Load { name: "list<u8> 64 KiB", export: "bytes", size: 64 * KIB, bytes: 64 * KIB },
    Load { name: "list<u8> 1 MiB", export: "bytes", size: MIB, bytes: MIB },
    Load { name: "1,000 records", export: "records", size: 1_000, bytes: 24_000 },
    Load { name: "resource method", export: "method", size: 0, bytes: 0 },
];

/// The most bytes of a load.
pub const MOST_BYTES: u32 = MIB;

/// The path name of the process that is called: it can begin a domain.
pub const CALLEE: &str = "taker";

/// What is called, how the result is dropped: one for each export.
const SENDS: [(&str, &str); 5] = [
    ("pair", "(call $pair (local.get $n) (i32.const 1))"),
    ("text", "(call $text (i32.const 65536) (local.get $size))"),
    ("bytes", "(call $bytes (i32.const 65536) (local.get $size))"),
    ("records", "(call $records (i32.const 65536) (local.get $size))"),
    ("method", "(call $value (local.get $counter))"),
];

/// The types of what the taker exports, and how each is lifted and lowered: name, type, memory of the taker, of the sender.
const FUNCS: [(&str, &str, bool); 6] = [
    ("pair", "(param \"a\" u32) (param \"b\" u32) (result u32)", false),
    ("text", "(param \"v\" string) (result u32)", true),
    ("bytes", "(param \"v\" (list u8)) (result u32)", true),
    ("records", "(param \"v\" (list $record)) (result u32)", true),
    ("[constructor]counter", "(param \"at\" u32) (result (own $counter))", false),
    ("[method]counter.value", "(param \"self\" (borrow $counter)) (result u32)", false),
];

const RECORD: &str = "(record (field \"id\" u32) (field \"count\" u64) (field \"weight\" f64))";

/// Two components: a sender, whose exports `pair`, `text`, … make `samples` times `batch` calls and call the import `tick`
/// before each sample and after the last; and a taker, which gives the same place each time, so that what is measured is
/// the way.
#[must_use]
pub fn component() -> String {
    let (taker, sender) = (taker(), sender());
    let exports: String =
        SENDS.iter().map(|(name, _)| format!("\n  (export \"{name}\" (func $sender \"{name}\"))")).collect();
    format!(
        "(component\n  (import \"tick\" (func $tick))\n{taker}{sender}  \
         (instance ${CALLEE} (instantiate $Taker))\n  \
         (instance $sender (instantiate $Sender (with \"taker\" (instance ${CALLEE})) (with \"tick\" (func $tick)))){exports})\n"
    )
}

fn taker() -> String {
    let mut lifts = String::new();
    for (name, ty, in_memory) in FUNCS {
        let options = if in_memory { " (memory $mem) (realloc $realloc)" } else { "" };
        let core = match name {
            "pair" => "pair",
            "[constructor]counter" => "new",
            "[method]counter.value" => "value",
            _ => "take",
        };
        push(&mut lifts, format_args!("\n    (func (export \"{name}\") {ty}"));
        push(&mut lifts, format_args!(" (canon lift (core func $i \"{core}\"){options}))"));
    }
    format!(
        "  (component $Taker
    (type $counter' (resource (rep i32)))
    (export $counter \"counter\" (type $counter'))
    (core func $new (canon resource.new $counter'))
    (core module $m
      (import \"\" \"new\" (func $new (param i32) (result i32)))
      (memory (export \"mem\") 40)
      (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export \"take\") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export \"pair\") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export \"new\") (param i32) (result i32) (call $new (local.get 0)))
      (func (export \"value\") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m (with \"\" (instance (export \"new\" (func $new))))))
    (alias core export $i \"mem\" (core memory $mem))
    (alias core export $i \"realloc\" (core func $realloc))
    (type $record' {RECORD})
    (export $record \"record\" (type $record')){lifts})\n"
    )
}

fn sender() -> String {
    let mut imports = String::new();
    let mut lowers = String::new();
    let mut given = String::new();
    for (name, ty, in_memory) in FUNCS {
        let core = match name {
            "[constructor]counter" => "new",
            "[method]counter.value" => "value",
            other => other,
        };
        let options = if in_memory { " (memory $mem)" } else { "" };
        push(&mut imports, format_args!("\n      (export \"{name}\" (func {ty}))"));
        push(
            &mut lowers,
            format_args!("\n    (core func ${core} (canon lower (func $taker \"{name}\"){options}))"),
        );
        push(&mut given, format_args!(" (export \"{core}\" (func ${core}))"));
    }
    let (mut sends, mut lifts) = (String::new(), String::new());
    let params = "(param \"samples\" u32) (param \"batch\" u32) (param \"size\" u32)";
    for (name, call) in SENDS {
        sends += &sending(name, call);
        push(
            &mut lifts,
            format_args!("\n    (func (export \"{name}\") {params} (canon lift (core func $i \"{name}\")))"),
        );
    }
    format!(
        "  (component $Sender
    (import \"tick\" (func $tick))
    (import \"taker\" (instance $taker
      (export \"counter\" (type $counter (sub resource)))
      (type $record' {RECORD})
      (export \"record\" (type $record (eq $record'))){imports}))
    (core module $libc (memory (export \"mem\") 40))
    (core instance $libc (instantiate $libc))
    (alias core export $libc \"mem\" (core memory $mem))
    (core func $tick' (canon lower (func $tick))){lowers}
    (core module $m
      (import \"\" \"mem\" (memory 40))
      (import \"\" \"tick\" (func $tick))
      (import \"\" \"pair\" (func $pair (param i32 i32) (result i32)))
      (import \"\" \"text\" (func $text (param i32 i32) (result i32)))
      (import \"\" \"bytes\" (func $bytes (param i32 i32) (result i32)))
      (import \"\" \"records\" (func $records (param i32 i32) (result i32)))
      (import \"\" \"new\" (func $new (param i32) (result i32)))
      (import \"\" \"value\" (func $value (param i32) (result i32)))
      (func $fill (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1048576)))
      (start $fill){sends})
    (core instance $i (instantiate $m (with \"\" (instance (export \"mem\" (memory $mem))
      (export \"tick\" (func $tick')){given})))){lifts})\n"
    )
}

/// The loop of one export.
fn sending(name: &str, call: &str) -> String {
    let before = if name == "method" { "(local.set $counter (call $new (i32.const 3)))" } else { "" };
    format!(
        "
      (func (export \"{name}\") (param $samples i32) (param $batch i32) (param $size i32)
        (local $n i32) (local $counter i32)
        {before}
        (call $tick)
        (loop $sample
          (local.set $n (local.get $batch))
          (loop $again
            (drop {call})
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (call $tick)
          (br_if $sample (local.tee $samples (i32.sub (local.get $samples) (i32.const 1))))))"
    )
}

fn push(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}
