/* slab.stp filp, at the typed tracepoint: TP_PROTO(call_site, ptr, s, gfp_flags, node). */
#include "slab.h"

SEC("tp_btf/kmem_cache_alloc")
int slab_tracepoint(u64 *ctx)
{
    slab(ctx, (struct kmem_cache *)ctx[2]);
    return 0;
}
