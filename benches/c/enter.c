/* stats[execname()] <<< 1 on every system call. */
#include "count.h"

SEC("tp_btf/sys_enter")
int enter(u64 *ctx)
{
    count_comm();
    return 0;
}
