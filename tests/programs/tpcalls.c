/* Calls functions with arguments and results that it prints: what a probe sees must be the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct point {
    int x, y;
    struct point *next;
    char name[16];
    unsigned kind : 3, flags : 5;
    struct { short low, high; } range;
    double weight;
};

__attribute__((noinline)) int add(int a, long b)
{
    return a + (int)b;
}

__attribute__((noinline)) long sum(struct point *p, const char *label)
{
    long total = 0;
    for (; p; p = p->next)
        total += p->x * p->y;
    return total + (long)strlen(label);
}

__attribute__((noinline)) unsigned char narrow(char c, unsigned short s, signed char negative)
{
    return (unsigned char)(c + s + negative);
}

__attribute__((noinline)) int eighth(int a, int b, int c, int d, int e, int f, int g, int h)
{
    return a + b + c + d + e + f + 100 * g + 10000 * h;
}

static inline __attribute__((always_inline)) int squared(int side)
{
    return side * side;
}

__attribute__((noinline)) int area(int side)
{
    return squared(side) + 1;
}

__attribute__((noinline, optimize("no-optimize-sibling-calls"))) int deep(int n)
{
    return n ? deep(n - 1) + 1 : 0;
}

enum rank { LOWEST = -3, MIDDLE = 0, HIGHEST = 4 };
struct ranks { enum rank first; enum { FEW = 1, MANY = 4000000000u } count; };

__attribute__((noinline)) int ranked(enum rank own, struct ranks *all)
{
    if (all->first == HIGHEST)
        goto highest;
    return own + all->first;
highest:
    asm volatile("" ::: "memory");
    return own;
}

int main(int argc, char **argv)
{
    struct point b = { 3, 4, 0, "bee", 5, 17, { -7, 70 }, 2.5 };
    struct point a = { 1, -2, &b, "ant", 2, 9, { -3, 30 }, 0.5 };
    int times = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 0; i < times; i++) {
        printf("add(%d, %ld) = %d\n", i, 40L, add(i, 40));
        printf("sum(%s) = %ld\n", "label", sum(&a, "label"));
        printf("narrow = %d\n", narrow('A', 65000, -2));
        printf("eighth = %d\n", eighth(1, 2, 3, 4, 5, 6, 7, 8));
        printf("area = %d\n", area(times + 4));
        printf("deep = %d\n", deep(3));
        struct ranks low = { LOWEST, MANY }, high = { HIGHEST, FEW };
        printf("ranked = %d %d\n", ranked(LOWEST, &low), ranked(MIDDLE, &high));
    }
    fflush(stdout);
    // Whoever wants to look at its memory finds it there for so many seconds.
    if (argc > 2)
        sleep(atoi(argv[2]));
    return 0;
}
