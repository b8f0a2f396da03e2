/* The slab script in C: allocations from one cache by process, and by process and stack. */
#pragma once
#include "count.h"

/* The first eight characters of the cache that is looked at. */
#ifndef CACHE
#define CACHE "filp\0\0\0"
#endif

struct place {
    char comm[COMM];
    char cache[32];
    s64 stack;
};

struct {
    TYPE(type, PERCPU_HASH);
    TYPE(max_entries, KEYS);
    OF(key, struct place);
    OF(value, u64);
} places SEC(".maps");

struct {
    TYPE(type, STACK_TRACE);
    TYPE(max_entries, 16384);
    TYPE(key_size, 4);
    TYPE(value_size, 64 * 8);
} stacks SEC(".maps");

INLINE void slab(void *ctx, struct kmem_cache *cache)
{
    struct place place = {};
    u64 one = 1, *count;

    read_kernel_str(place.cache, sizeof(place.cache), cache->name);
    if (*(u64 *)place.cache != *(u64 *)CACHE)
        return;
    count_comm();
    comm(place.comm, COMM);
    place.stack = stack_id(ctx, &stacks, 0);
    count = lookup(&places, &place);
    if (count)
        *count += 1;
    else
        update(&places, &place, &one, NOEXIST);
}
