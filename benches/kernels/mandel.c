// Escape times of the Mandelbrot set on a 128 x 128 grid, n times; float comparisons in a tight loop.
#include <stdint.h>

__attribute__((export_name("run"))) uint32_t run(uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t round = 0; round < n; round++)
        for (int row = 0; row < 128; row++)
            for (int column = 0; column < 128; column++) {
                double cx = column * (3.0 / 128) - 2.25, cy = row * (2.5 / 128) - 1.25 + round * 1e-6;
                double x = 0, y = 0;
                int steps = 0;
                while (steps < 200 && x * x + y * y < 4) {
                    double next = x * x - y * y + cx;
                    y = 2 * x * y + cy;
                    x = next;
                    steps++;
                }
                sum += (uint32_t)steps;
            }
    return sum;
}
