//! What computes in the benches of guest code.

/// A core module that exports `run(n: i32) -> i32`.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// Its name, that of its source.
    pub name: &'static str,
    /// The module.
    pub wasm: &'static [u8],
    /// An argument that keeps a processor busy for some 10 ms.
    pub n: u32,
}

macro_rules! kernels {
    ($($name:ident($n:literal)),* $(,)?) => {
        [$(Kernel {
            name: stringify!($name),
            wasm: include_bytes!(concat!("../kernels/", stringify!($name), ".wasm")),
            n: $n,
        }),*]
    };
}

/// Programs that compute: see `kernels/README.md`.
pub const KERNELS: [Kernel; 12] = kernels![
    bulk(5),
    fib(32),
    interp(100),
    lz(30),
    lz64(30),
    mandel(5),
    matmul(4),
    matmul_simd(16),
    nbody(50_000),
    objects(600),
    sha256(30),
    sort(3),
];
