/* slab.stp filp, at the function as kernels since 6.10 call it. */
#include "slab.h"

SEC("fentry/kmem_cache_alloc_noprof")
int slab_function(u64 *ctx)
{
    slab(ctx, (struct kmem_cache *)ctx[0]);
    return 0;
}
