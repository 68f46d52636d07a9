// Product of two 160 x 160 matrices of floats, n times; compiled twice, once with -DSIMD and -msimd128.
#include <stdint.h>
#ifdef SIMD
#include <wasm_simd128.h>
#endif

#define SIZE 160
static float a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void multiply(void) {
    for (int i = 0; i < SIZE; i++) {
#ifdef SIMD
        for (int j = 0; j < SIZE; j += 8) {
            v128_t low = wasm_f32x4_splat(0), high = wasm_f32x4_splat(0);
            for (int k = 0; k < SIZE; k++) {
                v128_t factor = wasm_v128_load32_splat(&a[i][k]);
                low = wasm_f32x4_add(low, wasm_f32x4_mul(factor, wasm_v128_load(&b[k][j])));
                high = wasm_f32x4_add(high, wasm_f32x4_mul(factor, wasm_v128_load(&b[k][j + 4])));
            }
            wasm_v128_store(&c[i][j], low);
            wasm_v128_store(&c[i][j + 4], high);
        }
#else
        for (int j = 0; j < SIZE; j++) {
            float sum = 0;
            for (int k = 0; k < SIZE; k++) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
#endif
    }
}

__attribute__((export_name("run"))) uint32_t run(uint32_t n) {
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) a[i][j] = (float)((i * j) % 17), b[i][j] = (float)((i + j) % 13);
    for (uint32_t round = 0; round < n; round++) {
        multiply();
        a[round % SIZE][0] += 1;
    }
    float sum = 0;
    for (int i = 0; i < SIZE; i++) sum += c[i][(i * 7) % SIZE];
    return (uint32_t)sum;
}
