/* stats[execname()] <<< 1 on allocations, at the typed tracepoint. */
#include "count.h"

SEC("tp_btf/kmem_cache_alloc")
int alloc(u64 *ctx)
{
    count_comm();
    return 0;
}
