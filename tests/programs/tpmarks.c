/* Marks as <sys/sdt.h> puts them into programs, written out: the header is not installed everywhere. */
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#define WORD ".8byte"
#elif defined(__aarch64__)
#define WORD ".8byte"
#endif

/* A note of type 3: the place, the base, the semaphore; provider, name and arguments. */
#define MARK(provider, name, semaphore, arguments, ...)                                                              \
    __asm__ __volatile__("990: nop\n"                                                                                \
                         ".pushsection .note.stapsdt,\"\",\"note\"\n"                                                \
                         ".balign 4\n"                                                                               \
                         ".4byte 992f-991f, 994f-993f, 3\n"                                                          \
                         "991: .asciz \"stapsdt\"\n"                                                                 \
                         "992: .balign 4\n"                                                                          \
                         "993: " WORD " 990b\n" WORD " _.stapsdt.base\n" WORD " " semaphore "\n"                     \
                         ".asciz \"" provider "\"\n.asciz \"" name "\"\n.asciz \"" arguments "\"\n"                  \
                         "994: .balign 4\n"                                                                          \
                         ".popsection\n" ::__VA_ARGS__)

__asm__(".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
        ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"
        ".size _.stapsdt.base, 1\n.popsection\n");

unsigned short tp_watched_semaphore __attribute__((section(".probes"), used));
static volatile int counter = 77;
static long table[4] = { 10, 20, 30, -40 };

__attribute__((noinline)) void turn(int n, const char *name, short narrow)
{
    long *place = table;
    long index = 3;
    MARK("tapster", "turn", "0", "-4@%0 8@%1 -2@%2 -4@%3", "r"(n), "r"(name), "r"(narrow), "i"(-5));
    MARK("tapster", "memory", "0", "-4@%0 -8@%1", "m"(counter), "m"(place[index]));
    printf("turn %d %s %d\n", n, name, narrow);
}

int main(void)
{
    printf("watched %d\n", *(volatile unsigned short *)&tp_watched_semaphore);
    MARK("tapster", "watched", "tp_watched_semaphore", "", "i"(0));
    MARK("other", "turn", "0", "", "i"(0));
    for (int n = -1; n < 2; n++)
        turn(n, n > 0 ? "up" : "down", (short)(n * 1000));
    return 0;
}
