#!/bin/sh
# Boots systemd as process 1 of the namespaces that it is called in: mount, pid, ipc, uts, net, which are new ones.
# Usage: boot.sh UNITS CGROUP. UNITS: the only units that there are; CGROUP: the name of a new control group.
set -e

cgroups() {
    mount -t tmpfs -o mode=755 none /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
}

if [ "$3" != inside ]; then
    mount --make-rprivate /
    mount -t proc none /proc
    cgroups
    mkdir "/sys/fs/cgroup/$2"
    echo 0 >"/sys/fs/cgroup/$2/cgroup.procs"
    exec unshare --cgroup sh "$0" "$1" "$2" inside
fi

umount -R /sys/fs/cgroup
cgroups
for place in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 none $place; done
# What the kernel is told by it would hold for the whole machine.
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    SYSTEMD_UNIT_PATH="$1" SYSTEMD_GENERATOR_PATH= \
    "$SYSTEMD" --system --unit=default.target --log-target=null --show-status=no
