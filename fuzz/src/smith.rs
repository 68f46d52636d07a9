//! A core module that both engines take, and the numbers it is fed with.

use arbitrary::{Result, Unstructured};
use wasm_smith::{Config, MemoryOffsetChoices, Module};

use crate::stretch::{mixed, stretched};

/// Loop heads and calls that a module executes before it traps, over all its calls.
const FUEL: u32 = 2_000;
/// The most that one memory holds, bytes.
const MEMORY_BYTES: u64 = 1 << 20;
/// Elements of one table.
const TABLE_ELEMENTS: u64 = 200;
/// A shorter input is lengthened to this: libFuzzer begins with short ones, which make empty modules.
const INPUT_BYTES: usize = 4_096;
/// Functions of a module at least: the more, the more they call each other.
const MIN_FUNCS: usize = 3;

/// `memory.atomic.wait32` and `memory.atomic.wait64`.
const WAITS: [[u8; 2]; 2] = [[0xfe, 0x01], [0xfe, 0x02]];

/// A module and its numbers.
#[derive(Debug)]
pub struct Case {
    /// The module's binary.
    pub wasm: Vec<u8>,
    /// What arguments and what the host's functions return are made of.
    pub numbers: Numbers,
    /// Whether the machine code goes through its form on disk first.
    pub precompiled: bool,
    /// Whether it may wait on a memory; if that is shared, nothing bounds how long.
    pub waits: bool,
}

impl Case {
    /// A case of any bytes.
    ///
    /// # Errors
    /// If the bytes make no module.
    pub fn new(data: &[u8]) -> Result<Case> {
        let bytes = stretched(data, INPUT_BYTES);
        let mut u = Unstructured::new(&bytes);
        let numbers = Numbers { seed: u.arbitrary()? };
        let precompiled = u.ratio(1, 8)?;
        let config = config(&mut u)?;
        let mut module = Module::new(config, &mut u)?;
        module.ensure_termination(FUEL).map_err(|_| arbitrary::Error::IncorrectFormat)?;
        let wasm = module.to_bytes();
        // Bytes that mean something else may look like the operator: a case is lost, and no more.
        let waits = wasm.windows(2).any(|pair| WAITS.contains(&[pair[0], pair[1]]));
        Ok(Case { wasm, numbers, precompiled, waits })
    }
}

/// Everything that both compile: all but GC. Where relaxed SIMD leaves a choice, both take the instruction that
/// the processor has for it.
fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let simd_enabled = u.ratio(2, 3)?;
    let max_memories = u.int_in_range(0..=4)?;
    let disallow_traps = u.ratio(1, 2)?;
    let offsets =
        if u.ratio(1, 2)? { MemoryOffsetChoices(90, 9, 1) } else { MemoryOffsetChoices(50, 30, 20) };
    Ok(Config {
        allow_start_export: true,
        bulk_memory_enabled: true,
        canonicalize_nans: true,
        custom_page_sizes_enabled: u.ratio(1, 8)?,
        disallow_traps,
        exceptions_enabled: u.ratio(2, 3)?,
        export_everything: true,
        extended_const_enabled: true,
        gc_enabled: false,
        max_data_segments: 6,
        max_element_segments: 6,
        max_funcs: u.int_in_range(MIN_FUNCS..=12)?,
        max_globals: 12,
        max_imports: u.int_in_range(0..=8)?,
        max_instructions: u.int_in_range(10..=400)?,
        max_memories: max_memories as usize,
        max_memory32_bytes: MEMORY_BYTES,
        max_memory64_bytes: u128::from(MEMORY_BYTES),
        max_table_elements: TABLE_ELEMENTS,
        max_tables: 3,
        max_tags: 6,
        max_types: 12,
        memory64_enabled: u.ratio(1, 2)?,
        memory_max_size_required: true,
        memory_offset_choices: offsets,
        min_funcs: MIN_FUNCS,
        min_memories: u.int_in_range(0..=max_memories.min(2))?,
        multi_value_enabled: true,
        reference_types_enabled: true,
        relaxed_simd_enabled: u.ratio(1, 2)?,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        simd_enabled,
        table_max_size_required: true,
        tail_call_enabled: u.ratio(1, 2)?,
        threads_enabled: u.ratio(1, 3)?,
        wide_arithmetic_enabled: u.ratio(1, 2)?,
        ..Config::default()
    })
}

/// An endless list of words, read by position, so that two engines can read the same ones.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    seed: u64,
}

impl Numbers {
    /// The word at a position: often one of those that arithmetic is wrong about.
    #[must_use]
    pub fn word(self, position: u64) -> u128 {
        let mixed = mixed(self.seed ^ position.wrapping_mul(0xd134_2543_de82_ef95));
        let half = |bits: u64| match bits % 12 {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << 63,
            4 => (1 << 63) - 1,
            5 => 1 << 31,
            6 => (1 << 31) - 1,
            7 => 0xffff_ffff,
            8 => 1.5_f64.to_bits(),
            9 => u64::from((-0.75_f32).to_bits()),
            10 => bits >> 56,
            _ => bits,
        };
        u128::from(half(mixed)) | u128::from(half(mixed.rotate_left(32))) << 64
    }
}
