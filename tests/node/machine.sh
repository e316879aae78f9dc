#!/usr/bin/env bash
# Boots one node as a machine of its own, with the kernel in its image, makes a cluster of it, and tries it:
# machine.sh DISK OUT. QEMU emulates, unless MACHINE_ACCELERATOR is `kvm`, so this takes minutes. What was seen is in OUT.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
disk=$1 out=$2
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXX")
export work here
trap 'rm -rf "$work"' EXIT

qemu-img convert -O raw "$disk" "$work/disk.raw"
# A service that runs the script, beside what the image has. All else is as it was built.
unshare --mount --propagation private bash -euo pipefail -c '
    mkdir "$work/root"
    mount -o loop,offset=1048576 "$work/disk.raw" "$work/root"
    cp -L "$work/root/vmlinuz" "$work/root/initrd.img" "$work/"
    mkdir "$work/root/proof"
    cp "$here"/{kubeadm.yml,bridge.conflist,pods.yml} "$work/root/proof/"
    cp "$here/machine-inside.sh" "$work/root/proof/run"
    printf "%s\n" "[Unit]" "After=multi-user.target" "[Service]" "Type=exec" "ExecStart=/bin/bash /proof/run" \
        "StandardOutput=tty" "StandardError=tty" "TTYPath=/dev/ttyS0" >"$work/root/etc/systemd/system/proof.service"
    ln -s ../proof.service "$work/root/etc/systemd/system/multi-user.target.wants/"
    umount "$work/root"
'
timeout "${MACHINE_SECONDS:-1500}" qemu-system-x86_64 -accel "${MACHINE_ACCELERATOR:-tcg,thread=multi}" -cpu max -m 4096 -smp 2 -nographic -no-reboot \
    -kernel "$work/vmlinuz" -initrd "$work/initrd.img" -append 'root=/dev/vda1 rw console=ttyS0' \
    -drive "file=$work/disk.raw,format=raw,if=virtio,cache=unsafe" -nic user,model=virtio-net-pci,restrict=on \
    </dev/null 2>&1 | sed -u 's/\r//g' | tee "$out/console" | sed -un 's/^proof: /machine: /p'
# What the script wrote between its marks.
awk -v out="$out" '/^proof-file: / { file = out "/" $2; printf "" > file; next } /^proof-end$/ { file = ""; next }
    file { print > file }' "$out/console"
grep -qx 'proof: all is well' "$out/console"
