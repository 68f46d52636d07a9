#!/bin/sh
# Builds the kernels beside their sources with the clang of PyPI's `ziglang` package (0.17.1):
#   pip install ziglang==0.17.1 && ZIG="python3 -m ziglang" benches/kernels/build.sh
set -eu
cd "$(dirname "$0")"
ZIG=${ZIG:-python3 -m ziglang}
compile() { # compile OUTPUT SOURCE [FLAGS]
    output=$1 source=$2
    shift 2
    $ZIG cc -target wasm32-freestanding -O3 -nostdlib -fno-builtin -s -Wl,--no-entry -Wl,-z,stack-size=16384 "$@" \
        "$source" -o "$output"
}
for name in bulk fib interp lz mandel matmul nbody objects sha256 sort; do compile "$name.wasm" "$name.c"; done
compile matmul_simd.wasm matmul.c -DSIMD -msimd128
compile lz64.wasm lz.c -target wasm64-freestanding
ls -l ./*.wasm
