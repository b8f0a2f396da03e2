/* Ten handlers in C, each beside the same in the script's language (src/bodies.rs). Every program does what a script's
 * would: no element is lost to a race of two CPUs, prints carry their time, stacks are told apart by all their frames.
 *
 * With PROMISES they also do what the language promises and programs in C leave out: what finds no room is counted, a
 * fault or a full array ends the session with its place in the script, loops have a bound that is an error, and an
 * array remembers when an element came. */
#include "promises.h"
#include "count.h"

struct {
    TYPE(type, PERCPU_HASH);
    TYPE(max_entries, KEYS);
    OF(key, s64);
    OF(value, s64);
} sums SEC(".maps");

struct histogram {
    s64 buckets[128];
};

struct {
    TYPE(type, PERCPU_HASH);
    TYPE(max_entries, KEYS);
    OF(key, s64);
    OF(value, struct histogram);
} histograms SEC(".maps");

struct {
    TYPE(type, PERCPU_ARRAY);
    TYPE(max_entries, 1);
    OF(key, u32);
    OF(value, struct histogram);
} empty SEC(".maps");

struct name {
    char text[COMM];
    u64 since[PROMISES];
};

struct {
    TYPE(type, HASH);
    TYPE(max_entries, KEYS);
    OF(key, s64);
    OF(value, struct name);
} names SEC(".maps");

struct {
    TYPE(type, RINGBUF);
    TYPE(max_entries, 8 << 20);
} ring SEC(".maps");

struct frames {
    u64 address[64];
};

struct {
    TYPE(type, PERCPU_ARRAY);
    TYPE(max_entries, 1);
    OF(key, u32);
    OF(value, struct frames);
} scratch SEC(".maps");

struct {
    TYPE(type, HASH);
    TYPE(max_entries, 16384);
    OF(key, u64);
    OF(value, struct frames);
} stacks SEC(".maps");

s64 total;

SEC("tp_btf/sched_switch")
int comm_count(u64 *ctx)
{
    count_comm();
    return 0;
}

INLINE void add(s64 key, s64 value)
{
    s64 *sum = lookup(&sums, &key);

    if (sum)
        *sum += value;
    else if (update(&sums, &key, &value, NOEXIST))
        lose();
}

SEC("tp_btf/sched_switch")
int keyed_sum(u64 *ctx)
{
    struct task_struct *next = (void *)ctx[2];

    add(pid_tgid() >> 32, next->prio);
    return 0;
}

INLINE u32 log2_of(u64 value)
{
    u32 bits = 0;

    if (value >> 32) { bits += 32; value >>= 32; }
    if (value >> 16) { bits += 16; value >>= 16; }
    if (value >> 8) { bits += 8; value >>= 8; }
    if (value >> 4) { bits += 4; value >>= 4; }
    if (value >> 2) { bits += 2; value >>= 2; }
    return bits + (value >> 1);
}

/* Buckets of either sign, as @hist_log has them: 64 of them is zero. */
INLINE u32 bucket_of(s64 value)
{
    if (value == 0)
        return 64;
    return value > 0 ? 65 + log2_of(value) : 63 - log2_of(-(u64)value);
}

SEC("tp_btf/sched_switch")
int histogram(u64 *ctx)
{
    struct task_struct *next = (void *)ctx[2];
    s64 key = cpu();
    u32 zero = 0, bucket = bucket_of(next->prio);
    struct histogram *histogram = lookup(&histograms, &key);

    if (!histogram) {
        void *fresh = lookup(&empty, &zero);

        if (!fresh)
            return 0;
        update(&histograms, &key, fresh, NOEXIST);
        histogram = lookup(&histograms, &key);
        if (!histogram) {
            lose();
            return 0;
        }
    }
    histogram->buckets[bucket & 127] += 1;
    return 0;
}

SEC("tp_btf/kmem_cache_alloc")
int string_filter(u64 *ctx)
{
    struct kmem_cache *cache = (void *)ctx[2];
    u64 name = 0;

    if (is_over())
        return 0;
    if (read_kernel_str(&name, sizeof(name), cache->name) < 0 && PROMISES)
        return fault(3, (u64)cache->name, 55);
    if (name == *(u64 *)"dentry\0")
        __sync_fetch_and_add(&total, 1);
    return 0;
}

SEC("tp_btf/sched_switch")
int stack_count(u64 *ctx)
{
    u32 zero = 0;
    u64 hash = 14695981039346656037ull;
    struct frames *frames = lookup(&scratch, &zero);
    long bytes;

    if (!frames)
        return 0;
    bytes = stack(ctx, frames, sizeof(*frames), 2);
    if (bytes <= 0)
        lose_stack();
    for (u32 at = 0; at < 64 && at * 8 < bytes; at++)
        hash = (hash ^ frames->address[at]) * 1099511628211ull;
    if (!lookup(&stacks, &hash)) {
        if (bytes == sizeof(*frames))
            cut_stack();
        if (update(&stacks, &hash, frames, NOEXIST) == -NO_ROOM) {
            lose();
            return 0;
        }
    }
    add(hash, 1);
    return 0;
}

SEC("tp_btf/sched_switch")
int nested_walk(u64 *ctx)
{
    struct task_struct *next = (void *)ctx[2];

    __sync_fetch_and_add(&total, next->group_leader->real_parent->signal->oom_score_adj);
    return 0;
}

struct line {
    u32 kind, index;
    u64 time;
    s64 pid;
    char comm[COMM];
    s64 prio;
};

SEC("tp_btf/sched_switch")
int print(u64 *ctx)
{
    struct task_struct *next = (void *)ctx[2];
    struct line *line = reserve(&ring, sizeof(*line), 0);

    if (!line) {
        lose();
        return 0;
    }
    line->kind = 1;
    line->index = 0;
    line->time = boot_ns();
    line->pid = pid_tgid() >> 32;
    comm(line->comm, COMM);
    line->prio = next->prio;
    submit(line, 0);
    return 0;
}

SEC("tp_btf/sched_switch")
int ternaries(u64 *ctx)
{
    struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];
    s64 before = prev->prio, after = next->prio;

    add(before > after ? (before > 100 ? 1 : 2) : (after > 100 ? 3 : before == after ? 4 : 5), 1);
    return 0;
}

SEC("tp_btf/sched_switch")
int loop(u64 *ctx)
{
    struct task_struct *next = (void *)ctx[2];
    s64 prio = next->prio, sum = 0, at;

    if (is_over())
        return 0;
    for (at = 0; at < prio && at < ROUNDS; at++)
        sum += (sum >> 3) ^ at;
    if (at == ROUNDS && PROMISES)
        return fault(5, 0, 95);
    add(0, sum);
    return 0;
}

SEC("tp_btf/sched_switch")
int names_of(u64 *ctx)
{
    s64 pid = pid_tgid() >> 32;
    struct name name = {}, *before;

    if (is_over())
        return 0;
    comm(name.text, COMM);
#if PROMISES
    before = lookup(&names, &pid);
    name.since[0] = before ? before->since[0] : now_ns();
#else
    (void)before;
#endif
    if (update(&names, &pid, &name, ANY) && PROMISES)
        return fault(6, 0, 47);
    return 0;
}
