/* c[execname()] <<< 1 on getppid(), through a kprobe. */
#include "count.h"

SEC("kprobe/__do_sys_getppid")
int getppid(void *ctx)
{
    count_comm();
    return 0;
}
