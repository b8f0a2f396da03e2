#!/busybox sh
# First process of a guest: mounts what a tracer needs, runs /job, and tells its output and status on serial ports.
B=/busybox
$B mkdir -p /proc /sys /dev /tmp /run /root /bin
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev
$B mount -t debugfs debugfs /sys/kernel/debug
$B mount -t tracefs tracefs /sys/kernel/tracing
$B mount -t bpf bpf /sys/fs/bpf
$B mount -t tmpfs -o mode=1777 tmpfs /tmp
$B mkdir -p /dev/shm
$B mount -t tmpfs tmpfs /dev/shm
$B ln -sf /proc/self/fd /dev/fd
$B ln -sf /proc/self/fd/1 /dev/stdout
for port in 1 2 3; do $B stty -F /dev/ttyS$port raw -echo; done
$B --install -s /bin
export PATH=/tests/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
$B ip link set lo up
for module in /modules/*; do $B insmod "$module"; done
$B mount -t configfs configfs /sys/kernel/config
cd /
$B sh /job </dev/null >/dev/ttyS1 2>/dev/ttyS2
echo $? >/dev/ttyS3
$B poweroff -f
