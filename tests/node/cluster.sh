#!/usr/bin/env bash
# Boots two nodes from one disk image, makes a cluster of them, and tries it: cluster.sh DISK OUT. What was seen is in OUT:
# a file for each command. The nodes are containers of systemd-nspawn, in a network of their own that has no way out.
#
# The kernel is this machine's, so: kernel modules are not loaded, and kernel.* and vm.* are set for all of the
# machine. They are put back at the end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export disk=$1 out=$2 here
mkdir -p "$out"
# What the kubelet and the image's sysctl.d set of the whole machine.
shared=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)
declare -A before
for name in "${shared[@]}"; do before[$name]=$(sysctl -n "$name"); done
work=$(mktemp -d "$out/work.XXXX")
export work

# Each node has control groups of its own. The controllers of the first version are one folder each.
groups() {
    local hierarchy mine
    while IFS=: read -r _ hierarchy mine; do
        hierarchy=${hierarchy#name=}
        if [ -n "$hierarchy" ] && [ -d "/sys/fs/cgroup/$hierarchy" ]; then
            echo "/sys/fs/cgroup/$hierarchy${mine%/}"
        fi
    done </proc/self/cgroup
}
groups >"$work/groups"

clean() {
    for name in "${shared[@]}"; do sysctl -qw "$name=${before[$name]}" || true; done
    local group
    # The last processes of a container end a moment later.
    for _ in 1 2 3 4; do
        while read -r group; do
            find "$group" -depth -mindepth 1 -type d -path "*/${work##*/}-*" -exec rmdir {} + 2>/dev/null || true
        done <"$work/groups"
        sleep 0.5
    done
    rm -rf "$work"
}
trap clean EXIT

# All mounts, processes and networks end with this one.
unshare --mount --propagation private --net --pid --fork --kill-child --mount-proc bash "$here/nodes.sh"
