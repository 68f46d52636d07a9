// Moves and fills pieces of 1 to 512 bytes inside 64 KiB, n x 100,000 times: memory.copy and memory.fill as memcpy and
// memset become them.
#include <stdint.h>

#define SIZE 65536
static uint8_t bytes[SIZE];

__attribute__((export_name("run"))) uint32_t run(uint32_t n) {
    uint32_t seed = 1, sum = 0;
    for (uint32_t i = 0; i < SIZE; i++) bytes[i] = (uint8_t)(i * 31);
    for (uint32_t round = 0; round < n * 100000; round++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t length = (seed >> 8) % 64 + 1, from = (seed >> 4) % (SIZE - 512), to = (seed >> 16) % (SIZE - 512);
        if ((seed >> 28) == 0) length *= 8;
        if (seed >> 30 == 3)
            __builtin_memset(&bytes[to], (int)(seed >> 20), length);
        else
            __builtin_memmove(&bytes[to], &bytes[from], length);
        sum += bytes[to];
    }
    return sum;
}
