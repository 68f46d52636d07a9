//! Does wrong on request: `culprit panic|recurse|index|exit|error`.

use std::hint::black_box;

fn main() -> Result<(), String> {
    let deed = std::env::args().nth(1).unwrap_or_default();
    println!("about to {deed}");
    match deed.as_str() {
        "panic" => stumble(7),
        "recurse" => println!("{}", descend(1)),
        "index" => println!("{}", overreach(0x7fff_0000)),
        "exit" => std::process::exit(3),
        "error" => return Err("it did not work out".to_string()),
        _ => {}
    }
    Ok(())
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stumble(step: u32) {
    assert!(black_box(step) != 7, "stumbled at step {step}");
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn descend(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { descend(depth + 1) + 1 }
}

/// Loads from beyond the end of linear memory.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn overreach(address: usize) -> u8 {
    // SAFETY: none; a load outside the memory is what this program is for.
    unsafe { std::ptr::read_volatile(black_box(address) as *const u8) }
}
