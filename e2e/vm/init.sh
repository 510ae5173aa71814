#!/bin/busybox sh
# First process of the machine: loads the modules, puts the root file system
# together and hands over to stage2.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

while read -r module; do
	insmod "/modules/$module.ko" || echo "init: $module was refused"
done </modules/order

# The host's files below, the guest's packages over them, and memory on top.
share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$2" "$1" "$3"; }
share host ro,cache=loose /host || echo "init: the host's file system was refused"
share packages ro,cache=loose /packages || echo "init: the guest's packages were refused"
mount -t tmpfs -o size=512m tmpfs /top
mkdir /top/upper /top/work
mount -t overlay -o lowerdir=/packages:/host,upperdir=/top/upper,workdir=/top/work overlay /root ||
	echo "init: the overlay was refused"

mkdir -p /root/mnt/kaztoken
share share cache=mmap /root/mnt/kaztoken || echo "init: the share was refused"
for dir in dev proc sys; do mount -o move "/$dir" "/root/$dir"; done
exec switch_root /root /usr/bin/busybox sh /mnt/kaztoken/stage2.sh
