#!/usr/bin/env bash
# Stops the container and packs what stands in it: pack.sh FOLDER NAME gives FOLDER/NAME.$ROOTFS_FORMAT. A disk has one
# partition with ext4; it is written without a mount of the disk itself.
set -euo pipefail

say() { echo "rootfs: $*"; }
die() { echo "rootfs: $*" >&2; exit 1; }

folder=$1 name=$2
base=$(cat root/base) pid=$(cat root/pid)

say "stopping the container"
# unshare, which owns the chroot, does not listen to TERM; a booted system shuts down on it.
signal=TERM
[ "$(cat root/isolation)" = chroot ] && signal=KILL
kill -"$signal" "$pid" 2>/dev/null || true
for _ in $(seq 240); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.25
done
kill -KILL "$pid" 2>/dev/null && die "the container did not stop"

mkdir -p "$folder"
file=$folder/$name.$ROOTFS_FORMAT
export ROOTFS_DISK_SIZE ROOTFS_FORMAT ROOTFS_USER base file
say "packing $file"
unshare --mount --propagation private bash -euo pipefail -c '
    rm -rf root/work && mkdir -p root/work root/merged
    mount -t overlay overlay -o "lowerdir=$base,upperdir=root/upper,workdir=root/work" root/merged
    # What start.sh has put in, and what the build has left.
    rm -f root/merged/etc/sudoers.d/99-imgspec root/merged/etc/ssh/sshd_config.d/00-imgspec.conf \
        root/merged/etc/dpkg/dpkg.cfg.d/99-imgspec
    : >root/merged/etc/resolv.conf
    printf "127.0.0.1 localhost\n::1 localhost\n" >root/merged/etc/hosts
    chroot root/merged userdel -r "$ROOTFS_USER" >/dev/null 2>&1 || true
    find root/merged/tmp root/merged/var/tmp root/merged/run root/merged/dev -mindepth 1 -xdev -delete 2>/dev/null || true
    rm -f "$file.part"
    if [ "$ROOTFS_FORMAT" = tar ]; then
        tar --numeric-owner --xattrs --one-file-system --sort=name -C root/merged -cf "$file.part" .
    else
        disk=root/disk.raw
        rm -f "$disk"
        truncate -s "${ROOTFS_DISK_SIZE}M" "$disk"
        echo "label: dos
        2048,,L,*" | sed "s/^ *//" | sfdisk -q "$disk"
        mke2fs -q -t ext4 -L root -E offset=1048576,root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1 \
            -d root/merged "$disk" "$((ROOTFS_DISK_SIZE * 1024 - 1024))k"
        if [ "$ROOTFS_FORMAT" = raw ]; then
            mv "$disk" "$file.part"
        else
            qemu-img convert -O qcow2 "$disk" "$file.part"
            rm -f "$disk"
        fi
    fi
    umount root/merged
    mv "$file.part" "$file"
'
rm -rf root
