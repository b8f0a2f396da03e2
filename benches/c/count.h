/* Counting by the name of the process, as a per-CPU hash is used in C. */
#pragma once
#include "promises.h"

struct {
    TYPE(type, PERCPU_HASH);
    TYPE(max_entries, KEYS);
    OF(key, char[COMM]);
    OF(value, u64);
} counts SEC(".maps");

INLINE void count_comm(void)
{
    char name[COMM] = {};
    u64 one = 1, *count;

    comm(name, COMM);
    count = lookup(&counts, name);
    if (count)
        *count += 1;
    else if (update(&counts, name, &one, NOEXIST))
        lose();
}
