/* `paths N`: enters the kernel from N different stacks of 20 frames, says so, and waits to be ended. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH 17
#define NOINLINE __attribute__((noinline))

static NOINLINE void down(unsigned path, int depth);

static NOINLINE void left(unsigned path, int depth)
{
    down(path >> 1, depth - 1);
    __asm__ volatile("");
}

static NOINLINE void right(unsigned path, int depth)
{
    down(path >> 1, depth - 1);
    __asm__ volatile("");
}

static NOINLINE void down(unsigned path, int depth)
{
    if (depth == 0)
        syscall(SYS_getppid);
    else if (path & 1)
        right(path, depth);
    else
        left(path, depth);
    __asm__ volatile("");
}

int main(int count, char **words)
{
    unsigned paths = count > 1 ? strtoul(words[1], 0, 10) : 0;

    for (unsigned path = 0; path < paths; path++)
        down(path, DEPTH);
    puts("done");
    fflush(stdout);
    pause();
    return 0;
}
