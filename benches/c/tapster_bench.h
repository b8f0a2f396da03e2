/* What the reference programs share: types, sections, maps, helpers (include/uapi/linux/bpf.h), and the kernel's
 * structures as far as they are read; the loader moves each member to where this kernel has it. */
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define TYPE(name, value) int (*name)[value]
#define OF(name, value) typeof(value) *name

enum { HASH = 1, ARRAY = 2, PERCPU_HASH = 5, PERCPU_ARRAY = 6, STACK_TRACE = 7, RINGBUF = 27 };
enum { ANY = 0, NOEXIST = 1, COMM = 16, KEYS = 2048 };

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*const boot_ns)(void) = (void *)125;
static u32 (*const cpu)(void) = (void *)8;
static u64 (*const pid_tgid)(void) = (void *)14;
static long (*const comm)(void *to, u32 size) = (void *)16;
static long (*const stack_id)(void *ctx, void *map, u64 flags) = (void *)27;
static long (*const stack)(void *ctx, void *to, u32 size, u64 flags) = (void *)67;
static void *(*const reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*const submit)(void *record, u64 flags) = (void *)132;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct kmem_cache {
    const char *name;
};
struct signal_struct {
    short oom_score_adj;
};
struct task_struct {
    s32 prio;
    s32 static_prio;
    s32 normal_prio;
    s32 pid;
    s32 tgid;
    struct task_struct *real_parent;
    struct task_struct *group_leader;
    struct signal_struct *signal;
};
#pragma clang attribute pop

char terms[] SEC("license") = "Dual MIT/GPL";
