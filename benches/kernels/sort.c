// Sorts 20,000 numbers n times: quicksort inline, then heapsort with a comparison through a function pointer.
#include <stdint.h>

#define COUNT 20000
static uint32_t numbers[COUNT];

static void fill(uint32_t seed) {
    for (int i = 0; i < COUNT; i++) numbers[i] = seed = seed * 1664525 + 1013904223;
}

static void quick(uint32_t *at, int count) {
    while (count > 16) {
        uint32_t pivot = at[count / 2];
        int i = 0, j = count - 1;
        while (i <= j) {
            while (at[i] < pivot) i++;
            while (at[j] > pivot) j--;
            if (i <= j) {
                uint32_t t = at[i];
                at[i++] = at[j];
                at[j--] = t;
            }
        }
        quick(at, j + 1);
        at += i, count -= i;
    }
    for (int i = 1; i < count; i++) {
        uint32_t value = at[i];
        int j = i;
        for (; j > 0 && at[j - 1] > value; j--) at[j] = at[j - 1];
        at[j] = value;
    }
}

typedef int (*Compare)(const uint32_t *, const uint32_t *);
static int up(const uint32_t *a, const uint32_t *b) { return *a < *b ? -1 : *a > *b; }
static int down(const uint32_t *a, const uint32_t *b) { return up(b, a); }
Compare volatile orders[2] = {up, down};

static void sift(uint32_t *at, int root, int count, Compare compare) {
    for (int child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(&at[child], &at[child + 1]) < 0) child++;
        if (compare(&at[root], &at[child]) >= 0) return;
        uint32_t t = at[root];
        at[root] = at[child];
        at[child] = t;
    }
}

static void heap(uint32_t *at, int count, Compare compare) {
    for (int i = count / 2; i-- > 0;) sift(at, i, count, compare);
    for (int end = count - 1; end > 0; end--) {
        uint32_t t = at[0];
        at[0] = at[end];
        at[end] = t;
        sift(at, 0, end, compare);
    }
}

__attribute__((export_name("run"))) uint32_t run(uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        fill(round);
        quick(numbers, COUNT);
        sum += numbers[round % COUNT];
        fill(round + 1);
        heap(numbers, COUNT, orders[round & 1]);
        sum += numbers[round % COUNT];
    }
    return sum;
}
