// Fibonacci by double recursion; calls and nothing else.
#include <stdint.h>

__attribute__((noinline)) static uint32_t fib(uint32_t n) {
    if (n < 2) return n;
    return fib(n - 1) + fib(n - 2);
}

__attribute__((export_name("run"))) uint32_t run(uint32_t n) { return fib(n); }
