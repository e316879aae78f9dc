#!/usr/bin/env bash
# An install medium of Debian 12 for a virtual machine: iso.sh CACHE. Prints the folder that it is in: medium.iso, its
# sha256, and what mirror.sh reads of a root filesystem. Made once: the folder is named after this script's content.
#
# `install url=…` at its boot prompt writes a disk image that lies ready, runs the file at that address as a shell script in
# the new system, and restarts. Kernel and boot loader are Debian's; the initial RAM disk is one of our own that loads the few
# modules needed, for the emulated machine is slow.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
folder=$1/qemu/$(sha256sum <"$0" | cut -c1-16)
mkdir -p "$1/qemu"
exec 9>"$1/qemu/lock"
flock 9
if [ -e "$folder/medium.iso" ]; then
    echo "$folder"
    exit
fi
rm -rf "$1"/qemu/*/ # what other versions of this script have made
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root medium=$work/medium ram=$work/ram
mkdir -p "$medium" "$ram"/{bin,dev,proc,sys,modules,cd,target}

# ---- the system ----------------------------------------------------------------------------------

source_line=$(apt-get indextargets --format '$(TARGET_OF) $(SITE) $(RELEASE) $(COMPONENT)' |
    awk '$1 == "deb" && $3 == "bookworm" { print "deb", $2, $3, "main"; exit }')
packages=systemd-sysv,dbus,udev,openssh-server,python3-minimal,python3-apt,sudo,ca-certificates,iproute2
# An Ubuntu server has it too; to install its many Python packages takes minutes in an emulated machine.
packages+=,cloud-init,cloud-guest-utils
packages+=,linux-image-cloud-amd64,extlinux,isolinux,syslinux-common,busybox-static
INITRD=No mmdebstrap --quiet --variant=minbase --mode=root --format=directory \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io \
    --include="$packages" bookworm "$root" "$source_line" 9>&- >&2

version=$(basename "$root"/lib/modules/*)
rm -f "$root"/boot/initrd.img* "$root/etc/resolv.conf"
echo debian >"$root/etc/hostname"
echo '127.0.0.1 localhost debian' >"$root/etc/hosts"
echo '/dev/sda1 / ext4 rw,noatime,x-systemd.growfs 0 0' >"$root/etc/fstab"
printf '[Match]\nName=e*\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n' >"$root/etc/systemd/network/ethernet.network"
systemctl --quiet --root="$root" enable systemd-networkd.service 2>/dev/null
systemctl --quiet --root="$root" disable systemd-networkd-wait-online.service 2>/dev/null
mkdir "$root/boot/extlinux"
cat >"$root/boot/extlinux/extlinux.conf" <<CONF
DEFAULT debian
LABEL debian
  LINUX /boot/vmlinuz-$version
  INITRD /boot/initrd.img-$version
  APPEND console=tty0 console=ttyS0 quiet
CONF

# ---- the initial RAM disk, the system's as well as the installer's -----------------------------------

cp "$root/bin/busybox" "$ram/bin"
number=100
for module in virtio_pci virtio_scsi sd_mod ext4 virtio_net ata_piix sr_mod isofs; do
    chroot "$root" modprobe --set-version "$version" --show-depends "$module" 2>/dev/null || true
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
    cp "$root/$file" "$ram/modules/$number-${file##*/}"
    number=$((number + 1))
done

cat >"$ram/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module" 2>/dev/null; done
appears() { for _ in $(seq 300); do [ -e "$1" ] && return; sleep 0.1; done; echo "no $1"; exec sh; }

if ! grep -q url= /proc/cmdline; then
    appears /dev/sda1
    mount -t ext4 -o ro /dev/sda1 /target
    umount /proc /sys
    mount --move /dev /target/dev
    exec switch_root /target /sbin/init
fi

install() {
    set -e # which holds only as long as nobody asks how it went
    ip link set lo up
    ip link set eth0 up
    udhcpc -q -n -i eth0 -s /bin/lease
    wget -O /answers "$(sed 's/.*url=//; s/ .*//' /proc/cmdline)"
    appears /dev/sr0
    mount -t iso9660 -o ro /dev/sr0 /cd
    echo 'Writing the disk'
    dd if=/cd/disk of=/dev/sda bs=1M
    blockdev --rereadpt /dev/sda
    appears /dev/sda1
    mount -t ext4 /dev/sda1 /target
    mount --bind /dev /target/dev
    mount -t proc proc /target/proc
    cp /cd/isolinux/linux "/target/boot/vmlinuz-$(uname -r)"
    cp /cd/isolinux/initrd "/target/boot/initrd.img-$(uname -r)"
    chroot /target extlinux --install /boot/extlinux
    chroot /target sh -eu </answers
    umount /target/proc /target/dev /target
    sync
}
(install)
[ $? = 0 ] || { echo 'The installation has failed.'; exec sh; }
reboot -f
INIT
printf '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip addr add "$ip/24" dev "$interface"\nip route add default via "$router"\n' \
    >"$ram/bin/lease"
chmod +x "$ram/init" "$ram/bin/lease"

# ---- the disk and the medium ---------------------------------------------------------------------

mkdir "$medium/isolinux"
(cd "$ram" && find . | "$root/bin/busybox" cpio -o -H newc 2>/dev/null | gzip) >"$medium/isolinux/initrd"
# The installer puts both where the boot loader looks: it cannot read files with as many extents as mke2fs makes.
mv "$root/boot/vmlinuz-$version" "$medium/isolinux/linux"
cp "$root/usr/lib/ISOLINUX/isolinux.bin" "$root/usr/lib/syslinux/modules/bios/ldlinux.c32" "$medium/isolinux"
cat >"$medium/isolinux/isolinux.cfg" <<'CONF'
PROMPT 1
LABEL install
  LINUX linux
  INITRD initrd
CONF

# The partition is as large as the machine's disk, the file system as what is in it: it grows when it is mounted.
used=$(($(du -s --block-size=1M "$root" | cut -f1) + 120))
truncate -s 4G "$medium/disk"
echo '2048,,L,*' | sfdisk --quiet --label dos "$medium/disk"
dd if="$root/usr/lib/EXTLINUX/mbr.bin" of="$medium/disk" bs=440 count=1 conv=notrunc status=none
truncate -s "$((used + 1))M" "$medium/disk"
# What extlinux can read.
mke2fs -q -t ext4 -O ^64bit,^metadata_csum -E offset=1048576 -d "$root" "$medium/disk" "${used}M"

new=$work/new
mkdir -p "$new/var/lib/dpkg" "$new/etc/apt"
cp "$root/var/lib/dpkg/status" "$new/var/lib/dpkg"
cp "$root/etc/apt/sources.list" "$new/etc/apt"
xorriso -as mkisofs -quiet -iso-level 3 -R -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table -o "$new/medium.iso" "$medium" >&2
sha256sum <"$new/medium.iso" | cut -d' ' -f1 >"$new/sha256"
rm -rf "$folder.new" "$folder"
cp -r "$new" "$folder.new"
mv "$folder.new" "$folder"
echo "$folder"
