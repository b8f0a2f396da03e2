/* slab.stp filp, at the function. */
#include "slab.h"

SEC("fentry/kmem_cache_alloc")
int slab_function(u64 *ctx)
{
    slab(ctx, (struct kmem_cache *)ctx[0]);
    return 0;
}
