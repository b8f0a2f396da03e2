/* What the language promises of its handlers, for programs in C: with -DPROMISES=1 they keep it, too. */
#pragma once
#include "tapster_bench.h"

#ifndef PROMISES
#define PROMISES 0
#endif

/* Rounds of a loop that MAXACTION lets pass; what an update says when a map is full (E2BIG). */
enum { ROUNDS = 500, NO_ROOM = 7 };

static u64 (*const now_ns)(void) = (void *)5;
static long (*const output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;

#if PROMISES
u64 stopping, lost, no_stack, cut;

struct {
    TYPE(type, RINGBUF);
    TYPE(max_entries, 4096);
} control SEC(".maps");

struct error {
    u64 kind, time, detail, position;
};
#endif

/* Whether the session is over. */
INLINE int is_over(void)
{
#if PROMISES
    return stopping != 0;
#else
    return 0;
#endif
}

/* Ends the session with an error and its place in the script. */
INLINE int fault(u64 kind, u64 detail, u64 position)
{
#if PROMISES
    struct error error = {kind << 32 | 2, now_ns(), detail, position};

    stopping = 1;
    output(&control, &error, sizeof(error), 0);
#endif
    return 0;
}

/* Counts what found no room, stacks that could not be had, and those that were cut. */
INLINE void lose(void)
{
#if PROMISES
    __sync_fetch_and_add(&lost, 1);
#endif
}

INLINE void lose_stack(void)
{
#if PROMISES
    __sync_fetch_and_add(&no_stack, 1);
#endif
}

INLINE void cut_stack(void)
{
#if PROMISES
    __sync_fetch_and_add(&cut, 1);
#endif
}
