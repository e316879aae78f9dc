#!/usr/bin/env bash
# Starts the root filesystem as a container with ssh on a port of the loopback device: booted by systemd-nspawn, or
# as a chroot with sshd where that cannot run. What the build changes lands in ./root/upper, above the base.
#
# Mounts live in a mount namespace of their own, so that they go when the container goes, however it ends.
set -euo pipefail

say() { echo "rootfs: $*"; }
die() { echo "rootfs: $*" >&2; exit 1; }

base=$(cat root/base)
rm -rf root/upper root/work root/merged root/pid root/log
mkdir -p root/upper root/work root/merged
merged=$PWD/root/merged

# In the upper layer, before anything runs: the user that Packer logs in as, and sshd's port.
prepare() {
    chroot "$merged" id "$ROOTFS_USER" >/dev/null 2>&1 || chroot "$merged" useradd -m -s /bin/bash "$ROOTFS_USER"
    printf '%s:%s\n' "$ROOTFS_USER" "$ROOTFS_PASSWORD" | chroot "$merged" chpasswd
    echo "$ROOTFS_USER ALL=(ALL) NOPASSWD:ALL" >"$merged/etc/sudoers.d/99-imgspec"
    chmod 440 "$merged/etc/sudoers.d/99-imgspec"
    printf 'Port %s\nListenAddress 127.0.0.1\nPasswordAuthentication yes\nUseDNS no\n' "$ROOTFS_PORT" \
        >"$merged/etc/ssh/sshd_config.d/00-imgspec.conf"
    echo node >"$merged/etc/hostname"
    # The build machine's names and resolver are the container's: it shares its network.
    printf '127.0.0.1 localhost node\n::1 localhost\n' >"$merged/etc/hosts"
    cp -L /etc/resolv.conf "$merged/etc/resolv.conf" 2>/dev/null || true
    # apt keeps its word on fsync for disks that lose power; this one is written out whole at the end.
    echo force-unsafe-io >"$merged/etc/dpkg/dpkg.cfg.d/99-imgspec"
}
. packer/rootfs/groups.sh
export -f prepare own_groups
export merged

# One process owns the mounts and the container; its end is the end of both.
run() { # nspawn|chroot
    setsid unshare --mount --propagation private bash -euc '
        # Nothing of Packer stays open: whoever waits for the end of its output would wait for the container.
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        mount -t overlay overlay -o "lowerdir=$0,upperdir=root/upper,workdir=root/work" "$merged"
        prepare
        if [ "$1" = nspawn ]; then
            own_groups
            exec systemd-nspawn -q --register=no --keep-unit --link-journal=no --resolv-conf=off --timezone=off \
                -D "$merged" -b --console=pipe
        fi
        mkdir -p "$merged/run/sshd"
        chroot "$merged" ssh-keygen -A >/dev/null
        mount -t devtmpfs dev "$merged/dev" 2>/dev/null || mount --rbind /dev "$merged/dev"
        mount -t devpts devpts "$merged/dev/pts" 2>/dev/null || true
        mount -t tmpfs tmpfs "$merged/run" && mkdir -p "$merged/run/sshd"
        exec unshare --pid --fork --kill-child --mount-proc="$merged/proc" chroot "$merged" /usr/sbin/sshd -D -e
    ' "$base" "$1" </dev/null >root/log 2>&1 &
    echo $! >root/pid
    # A container that has not answered by now will not.
    for _ in $(seq 120); do
        kill -0 "$(cat root/pid)" 2>/dev/null || return 1
        if (exec 3<>"/dev/tcp/127.0.0.1/$ROOTFS_PORT") 2>/dev/null; then
            echo "$1" >root/isolation
            return 0
        fi
        sleep 0.25
    done
    kill -KILL "$(cat root/pid)" 2>/dev/null || true
    return 1
}

wanted=$ROOTFS_ISOLATION
if [ "$wanted" = auto ]; then
    wanted=chroot
    command -v systemd-nspawn >/dev/null && wanted=nspawn
fi
say "starting a container ($wanted) with ssh on port $ROOTFS_PORT"
run "$wanted" && exit
if [ "$ROOTFS_ISOLATION" = auto ] && [ "$wanted" = nspawn ]; then
    say "systemd-nspawn cannot run here ($(tail -n 1 root/log)); a chroot takes its place"
    rm -rf root/upper root/work && mkdir root/upper root/work
    run chroot && exit
fi
tail -n 20 root/log >&2
die "the container did not answer on port $ROOTFS_PORT"
