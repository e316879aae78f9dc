# Holds an image for commands that are run in it: `hold.sh enter|boot KIND SOURCE SCRATCH [FROM TO]...`. Each file or folder
# FROM of this machine is at TO in the image, and cannot be written to.
#
# It is the first process of its own namespaces. Its mounts, its container and its network end with it, and it ends with its
# standard input, so that nothing stays however the program ends. What the image's system writes goes to memory.
set -euo pipefail

mode=$1 kind=$2 source=$3 scratch=$4
shift 4
die() { echo "$*" >&2; exit 1; }

mkdir -p "$scratch/mount"
mount -t tmpfs -o mode=0700 imgspec "$scratch/mount"
cd "$scratch/mount"
mkdir lower upper work root

# Mounts a file system that starts at a byte of the disk. A journal is not replayed: that would write to the disk.
mount_at() { # offset options
    local more
    for more in ,noload ,norecovery ''; do
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
        kind=file
        [ ! -d "$1" ] || kind=folder
        # Made and resolved inside the image, whose links are relative to its own root.
        place=$(chroot root sh -ec '
            if [ ! -e "$1" ]; then
                mkdir -p "${1%/*}"
                if [ "$2" = folder ]; then mkdir "$1"; else : >"$1"; fi
            fi
            readlink -f "$1"
        ' sh "$2" "$kind")
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
systemd-nspawn --quiet --register=no --keep-unit --private-network --link-journal=no --resolv-conf=off --timezone=off \
    --directory=root --boot --console=pipe "${binds[@]}" </dev/null >console 2>&1 &
guest=$!
echo ready
while kill -0 "$guest" 2>/dev/null; do
    ended=0
    read -r -t 0.2 _ || ended=$?
    # More than 128: nothing came for the time. Otherwise the input is closed.
    if [ "$ended" -gt 0 ] && [ "$ended" -le 128 ]; then
        exit 0
    fi
done
tail -n 5 console >&2
die "the container has ended"
