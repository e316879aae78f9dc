# shellcheck shell=bash
# Holds an image for commands that are run in it: `hold.sh enter|boot|machine KIND SOURCE SCRATCH [FROM TO]...`. Each file or folder
# FROM of this machine is at TO in the image, and cannot be written to.
#
# It is the first process of its own namespaces. Its mounts, its container and its network end with it, and it ends with its
# standard input, so that nothing stays however the program ends. What the image's system writes goes to memory.
set -euo pipefail

accelerator=
mode=$1 kind=$2 source=$3 scratch=$4
shift 4
die() { echo "$*" >&2; exit 1; }

mkdir -p "$scratch/mount"
mount -t tmpfs -o mode=0700 imgspec "$scratch/mount"
cd "$scratch/mount"
mkdir lower upper work root

# Mounts a file system that starts at a byte of the disk. A journal is not replayed: that would write to the disk.
mount_at() { # offset options
    local more all=(',noload' ',norecovery' '')
    [ "$2" = ro ] || all=('')
    for more in "${all[@]}"; do
        mount -o "$2,loop,offset=$1$more" "$disk" lower 2>/dev/null && return 0
    done
    return 1
}

# Finds the partition with the system: the largest one that has an os-release.
mount_disk() { # options
    local start rest
    while read -r start rest; do
        if mount_at $((start * 512)) "$1"; then
            [ ! -e lower/etc/os-release ] && [ ! -e lower/usr/lib/os-release ] || return 0
            umount lower
        fi
    done < <(partx --raw --noheadings --output START,SECTORS "$disk" 2>/dev/null | sort -k2,2nr; echo 0)
    die "no partition of the disk has a Linux system that can be mounted; encrypted disks and volume groups cannot be read"
}

lower=lower
case $kind in
    tree) lower=$source ;;
    tar)
        lower=$scratch/files
        if [ ! -d "$lower" ]; then
            mkdir "$lower"
            tar --extract --file="$source" --directory="$lower" --numeric-owner --xattrs --xattrs-include='*' >&2
        fi
        ;;
    raw) disk=$source ;;
    *)
        disk=$scratch/disk.raw
        [ -e "$disk" ] || qemu-img convert -O raw "$source" "$disk"
        ;;
esac
# Until the input is closed, or the container or machine ends by itself.
wait_for_end() { # NAME
    echo ready
    local ended
    while true; do
        # -1: it is running. More than 128: a signal has ended it.
        ended=-1
        if ! kill -0 "$guest" 2>/dev/null; then
            ended=0
            wait "$guest" || ended=$?
        fi
        # Some machines have a KVM that cannot run a boot loader: QEMU stands still then, or aborts.
        if [ "$accelerator" = kvm ] && { [ "$ended" -gt 128 ] || grep -q 'KVM internal error' qemu; }; then
            kill -KILL "$guest" 2>/dev/null || true
            accelerator=tcg
            start_machine
        elif [ "$ended" -ge 0 ]; then
            break
        fi
        ended=0
        read -r -t 0.2 _ || ended=$?
        # More than 128: nothing came for the time. Otherwise the input is closed.
        if [ "$ended" -gt 0 ] && [ "$ended" -le 128 ]; then
            exit 0
        fi
    done
    tail -n 5 console >&2
    die "the $1 has ended"
}

if [ "$mode" = machine ]; then
    if [ "$kind" = raw ]; then
        disk=$scratch/disk.raw
        cp --sparse=always "$source" "$disk"
    fi
    new=$scratch/new
    mkdir -p "$new/etc/imgspec-probe/files" "$new/etc/systemd/system/multi-user.target.wants"
    mv "$scratch/commands" "$new/etc/imgspec-probe/commands"
    while [ $# -gt 1 ]; do
        # The commands put them in their places, of which some are made when the system boots.
        place=$new/etc/imgspec-probe/files$2
        mkdir -p "${place%/*}"
        [ -e "$place" ] || cp -rL "$1" "$place"
        shift 2
    done
    printf '[Service]\nExecStart=/bin/sh /etc/imgspec-probe/commands\n[Install]\nWantedBy=multi-user.target\n' \
        >"$new/etc/systemd/system/imgspec-probe.service"
    ln -s ../imgspec-probe.service "$new/etc/systemd/system/multi-user.target.wants/imgspec-probe.service"
    mount_disk rw
    # Unpacked inside the image, whose links are relative to its own root.
    tar -C "$new" --owner=0 --group=0 -cf - . | chroot lower tar -C / --keep-directory-symlink -xf -
    umount lower

    types=$(partx --raw --noheadings --output TYPE "$disk" 2>/dev/null || true)
    firmware=()
    case $types in
        *21686148-6449-6e6f-744e-656564454649*) ;;
        *c12a7328-f81f-11d2-ba4b-00a0c93ec93b*)
            [ -e /usr/share/ovmf/OVMF.fd ] || die "the disk starts by EFI, and /usr/share/ovmf/OVMF.fd is missing: install ovmf"
            firmware=(-bios /usr/share/ovmf/OVMF.fd)
            ;;
    esac
    : >"$scratch/results"
    start_machine() {
        qemu-system-x86_64 -nodefaults -no-user-config -display none -accel "$accelerator" -cpu max -smp 2 -m 2048 "${firmware[@]}" \
            -device virtio-scsi-pci -drive "if=none,id=disk,format=raw,cache=unsafe,file=${disk//,/,,}" -device scsi-hd,drive=disk \
            -device virtio-rng-pci -serial file:console -serial "file:${scratch//,/,,}/results" -no-reboot \
            </dev/null >qemu 2>&1 &
        guest=$!
    }
    accelerator=tcg
    [ ! -w /dev/kvm ] || accelerator=kvm
    start_machine
    wait_for_end machine
fi

[ -z "${disk:-}" ] || mount_disk ro
[ -e "$lower/etc" ] || die "it has no folder /etc, so it is not the file system of a Linux system"
mount -t overlay imgspec -o "lowerdir=$lower,upperdir=upper,workdir=work" root
# A link would lead to this machine's own folders.
for folder in proc sys dev; do
    [ ! -L "root/$folder" ] || die "its folder /$folder is a link"
    mkdir -p "root/$folder"
done

if [ "$mode" = enter ]; then
    mount -t proc proc root/proc
    mount -t sysfs -o ro sysfs root/sys
    mount -t tmpfs -o mode=0755 imgspec root/dev
    for device in null zero full random urandom tty; do
        touch "root/dev/$device"
        mount --bind "/dev/$device" "root/dev/$device"
    done
    ln -s /proc/self/fd root/dev/fd
    ln -s /proc/self/fd/0 root/dev/stdin
    ln -s /proc/self/fd/1 root/dev/stdout
    ln -s /proc/self/fd/2 root/dev/stderr
    mkdir -m 1777 root/dev/shm
    while [ $# -gt 1 ]; do
        form='file'
        [ ! -d "$1" ] || form='folder'
        # shellcheck disable=SC2016 # Made and resolved inside the image, whose links are relative to its own root.
        place=$(chroot root sh -ec '
            if [ ! -e "$1" ]; then
                mkdir -p "${1%/*}"
                if [ "$2" = folder ]; then mkdir "$1"; else : >"$1"; fi
            fi
            readlink -f "$1"
        ' sh "$2" "$form")
        mount --bind "$1" "root$place"
        mount -o remount,bind,ro "root$place"
        shift 2
    done
    echo ready
    # Until the end of the standard input.
    read -r _ || true
    exit 0
fi

binds=()
escape() { local text=${1//\\/\\\\}; printf '%s' "${text//:/\\:}"; }
while [ $# -gt 1 ]; do
    binds+=("--bind-ro=$(escape "$1"):$(escape "$2")")
    shift 2
done
(
    own_groups
    exec systemd-nspawn --quiet --register=no --keep-unit --private-network --link-journal=no --resolv-conf=off \
        --timezone=off --directory=root --boot --console=pipe "${binds[@]}"
) </dev/null >console 2>&1 &
guest=$!
wait_for_end container
