// A byte-code interpreter that counts primes below 2,000 with a sieve, n times; br_table and unpredictable branches.
#include <stdint.h>

enum { PUSH, LOAD, STORE, GET, PUT, ADD, LESS, JUMP, JUMP_IF_NOT, HALT };

// Variables: 0 i, 1 j, 2 count, 3 limit.
static const int32_t program[] = {
    PUSH, 0, STORE, 2, PUSH, 2, STORE, 0,
    // 8: while i < limit
    LOAD, 0, LOAD, 3, LESS, JUMP_IF_NOT, 64,
    // 15: if sieve[i] == 0
    LOAD, 0, GET, PUSH, 1, LESS, JUMP_IF_NOT, 55,
    // 23: count += 1; j = i + i
    LOAD, 2, PUSH, 1, ADD, STORE, 2, LOAD, 0, LOAD, 0, ADD, STORE, 1,
    // 37: while j < limit
    LOAD, 1, LOAD, 3, LESS, JUMP_IF_NOT, 55,
    // 44: sieve[j] = 1; j += i
    PUSH, 1, LOAD, 1, PUT, LOAD, 1, LOAD, 0, JUMP, 57,
    // 55: i += 1
    JUMP, 62,
    // 57: (end of the inner loop)
    ADD, STORE, 1, JUMP, 37,
    // 62
    JUMP, 65,
    // 64
    HALT,
    // 65
    LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 8,
};

static uint8_t sieve[2000];
static int32_t variables[4], stack[16];

__attribute__((noinline)) static int32_t interpret(const int32_t *code) {
    int32_t pc = 0, *top = stack;
    for (;;) {
        switch (code[pc++]) {
        case PUSH: *top++ = code[pc++]; break;
        case LOAD: *top++ = variables[code[pc++]]; break;
        case STORE: variables[code[pc++]] = *--top; break;
        case GET: top[-1] = sieve[top[-1]]; break;
        case PUT: top -= 2; sieve[top[1]] = (uint8_t)top[0]; break;
        case ADD: top--; top[-1] += top[0]; break;
        case LESS: top--; top[-1] = top[-1] < top[0]; break;
        case JUMP: pc = code[pc]; break;
        case JUMP_IF_NOT: pc = *--top ? pc + 1 : code[pc]; break;
        case HALT: return variables[2];
        }
    }
}

__attribute__((export_name("run"))) uint32_t run(uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < 2000; i++) sieve[i] = 0;
        variables[3] = 2000 - (int32_t)(round & 7);
        sum += (uint32_t)interpret(program);
    }
    return sum;
}
