//! What the machine takes for the same work when nobody is kept from anybody.

use std::hint::black_box;

use atoll_benches::contest::Work;

const PAGE: usize = 4096;

/// Copies so many bytes between two buffers that begin at pages, as a guest's memory does.
pub fn memcpy(bytes: usize) -> Work<'static> {
    let (from, mut to) = (vec![1_u8; bytes + PAGE], vec![2_u8; bytes + PAGE]);
    let (source, target) = (from.as_ptr().align_offset(PAGE), to.as_ptr().align_offset(PAGE));
    Box::new(move |count| {
        for _ in 0..count {
            black_box(&mut to[target..target + bytes])
                .copy_from_slice(black_box(&from[source..source + bytes]));
        }
    })
}

/// Calls a function through a pointer.
pub fn pointer() -> Work<'static> {
    extern "C" fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }
    Box::new(|count| {
        let add: extern "C" fn(u32, u32) -> u32 = black_box(add);
        _ = black_box((0..count).fold(0, |sum, next| add(sum, next)));
    })
}

/// Calls a function through a pointer that looks its argument up in a table.
pub fn looked_up() -> Work<'static> {
    fn value(table: &[u32], at: u32) -> Option<u32> {
        table.get(at as usize).copied()
    }
    let table = vec![3; 16];
    Box::new(move |count| {
        let value: fn(&[u32], u32) -> Option<u32> = black_box(value);
        _ = black_box(
            (0..count).fold(0, |sum: u32, next| sum.wrapping_add(value(&table, next & 15).unwrap_or(0))),
        );
    })
}
