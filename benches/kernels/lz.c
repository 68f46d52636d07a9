// Compresses and expands 64 KiB of text-like bytes n times with a hash table of matches; byte loads, data-dependent loops.
#include <stdint.h>

#define SIZE 65536
static uint8_t input[SIZE], packed[SIZE * 2], output[SIZE];
static uint32_t heads[4096];

static uint32_t pack(void) {
    uint32_t at = 0, out = 0;
    for (int i = 0; i < 4096; i++) heads[i] = 0;
    while (at + 4 <= SIZE) {
        uint32_t word = input[at] | input[at + 1] << 8 | input[at + 2] << 16 | (uint32_t)input[at + 3] << 24;
        uint32_t hash = word * 2654435761u >> 20, candidate = heads[hash], length = 0;
        heads[hash] = at + 1;
        if (candidate != 0) {
            uint32_t from = candidate - 1;
            while (at + length < SIZE && length < 255 && input[from + length] == input[at + length]) length++;
        }
        if (length >= 4) {
            uint32_t distance = at - (candidate - 1);
            packed[out++] = (uint8_t)length, packed[out++] = (uint8_t)distance, packed[out++] = (uint8_t)(distance >> 8);
            at += length;
        } else {
            packed[out++] = 0, packed[out++] = input[at++];
        }
    }
    while (at < SIZE) packed[out++] = 0, packed[out++] = input[at++];
    return out;
}

static uint32_t unpack(uint32_t size) {
    uint32_t out = 0;
    for (uint32_t at = 0; at < size;) {
        uint32_t length = packed[at];
        if (length == 0) {
            output[out++] = packed[at + 1], at += 2;
        } else {
            uint32_t from = out - (packed[at + 1] | packed[at + 2] << 8);
            for (uint32_t i = 0; i < length; i++) output[out++] = output[from + i];
            at += 3;
        }
    }
    return out;
}

__attribute__((export_name("run"))) uint32_t run(uint32_t n) {
    uint32_t sum = 0, seed = 1;
    for (uint32_t i = 0; i < SIZE; i++) {
        if (i % 11 == 0) seed = seed * 1664525 + 1013904223;
        input[i] = (uint8_t)("etaoin shrdlu"[(seed >> 8) % 13] + (i * 7 % 11 == 3));
    }
    for (uint32_t round = 0; round < n; round++) {
        uint32_t size = pack();
        sum += size + unpack(size) + output[(round * 97) % SIZE];
    }
    return sum;
}
