/* c[execname()] <<< 1 on getppid(), through fentry. */
#include "count.h"

SEC("fentry/__do_sys_getppid")
int getppid(u64 *ctx)
{
    count_comm();
    return 0;
}
