// A list of shapes whose areas are asked for through tables of functions, and an allocator of free lists under it;
// calls through pointers, pointer chasing, globals.
#include <stdint.h>

typedef struct Shape Shape;
typedef struct { uint32_t (*area)(const Shape *); Shape *(*grown)(Shape *); } Methods;
struct Shape { const Methods *methods; Shape *next; uint32_t a, b; };

static Shape pool[4096];
static Shape *unused;
uint32_t allocated;

__attribute__((noinline)) static Shape *allocate(const Methods *methods, uint32_t a, uint32_t b) {
    Shape *shape = unused;
    unused = shape->next;
    allocated++;
    shape->methods = methods, shape->a = a, shape->b = b, shape->next = 0;
    return shape;
}

__attribute__((noinline)) static void release(Shape *shape) {
    shape->next = unused, unused = shape, allocated--;
}

static uint32_t box_area(const Shape *s) { return s->a * s->b; }
static uint32_t triangle_area(const Shape *s) { return s->a * s->b / 2; }
static uint32_t disc_area(const Shape *s) { return s->a * s->a * 355 / 113; }
static Shape *box_grown(Shape *s);
static Shape *triangle_grown(Shape *s);
static Shape *disc_grown(Shape *s);
static const Methods box = {box_area, box_grown}, triangle = {triangle_area, triangle_grown}, disc = {disc_area, disc_grown};
static Shape *box_grown(Shape *s) { return allocate(&triangle, s->a + 1, s->b + 2); }
static Shape *triangle_grown(Shape *s) { return allocate(&disc, s->a + 3, s->b); }
static Shape *disc_grown(Shape *s) { return allocate(&box, s->a & 63, s->b & 31); }

__attribute__((export_name("run"))) uint32_t run(uint32_t n) {
    unused = 0;
    for (int i = 0; i < 4096; i++) pool[i].next = unused, unused = &pool[i];
    Shape *list = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        Shape *shape = allocate(i % 3 == 0 ? &box : i % 3 == 1 ? &triangle : &disc, i % 17, i % 23);
        shape->next = list, list = shape;
    }
    uint32_t sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        Shape *next, *grown = 0;
        for (Shape *shape = list; shape != 0; shape = next) {
            sum += shape->methods->area(shape);
            Shape *other = shape->methods->grown(shape);
            next = shape->next;
            release(shape);
            other->next = grown, grown = other;
        }
        list = grown;
    }
    return sum + allocated;
}
