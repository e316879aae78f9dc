#!/usr/bin/env bash
# The inner part of cluster.sh, in namespaces of its own.
set -euo pipefail
: "${disk:?}" "${out:?}" "${work:?}" "${here:?}"

start=$SECONDS
say() { printf 'cluster: %4d s: %s\n' $((SECONDS - start)) "$*"; }
die() {
    say "$*"
    for node in one two; do
        [ -n "${leader[$node]:-}" ] || continue
        in_node "$node" journalctl --no-pager --lines=400 >"$out/$node.journal" 2>&1 || true
        cp "$work/$node.console" "$out/" || true
        in_node "$node" crictl ps --all >"$out/$node.ps" 2>&1 || true
        kubectl describe pods --all-namespaces >"$out/described" 2>&1 || true
    done
    exit 1
}

declare -A leader address=([one]=10.77.0.11 [two]=10.77.0.12)

# in_node NODE COMMAND…
in_node() {
    local node=$1
    shift
    nsenter --target "${leader[$node]}" --mount --uts --ipc --net --pid --cgroup --root --wdns=/ \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        KUBECONFIG=/etc/kubernetes/admin.conf "$@"
}

kubectl() { in_node one kubectl "$@"; }

# wait_for SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >"$work/last" 2>&1; do
        [ $SECONDS -lt $limit ] || die "this did not come: $what; last: $(tail -n 3 "$work/last")"
        sleep 1
    done
    say "$what"
}

# Without CAP_SYS_RESOURCE, which a machine may withhold, no process can protect itself from the kernel's killer:
# runc would fail, and containerd has a setting for that.
limit_protection() { # ROOT
    local capabilities config=$1/etc/containerd/config.toml plugin='io.containerd.grpc.v1.cri'
    capabilities=$(awk '/^CapEff:/ { print $2 }' /proc/self/status)
    [ $((0x$capabilities >> 24 & 1)) = 0 ] || return 0
    say "no CAP_SYS_RESOURCE here: containers get restrict_oom_score_adj"
    ! grep -q 'io.containerd.cri.v1.runtime' "$config" || plugin='io.containerd.cri.v1.runtime'
    grep -qxF "[plugins.\"$plugin\"]" "$config" || printf '\n[plugins."%s"]\n' "$plugin" >>"$config"
    sed -i "/^\[plugins\.\"$plugin\"\]\$/a restrict_oom_score_adj = true" "$config"
}

boot() {
    local node=$1 group own console=$work/$1.console
    cp --sparse=always --reflink=auto "$work/disk.raw" "$work/$node.raw"
    mkdir "$work/$node"
    mount -o loop,offset=1048576 "$work/$node.raw" "$work/$node"
    echo "$node" >"$work/$node/etc/hostname"
    printf '127.0.0.1 localhost\n%s one\n%s two\n' "${address[one]}" "${address[two]}" >"$work/$node/etc/hosts"
    echo 'nameserver 10.77.0.1' >"$work/$node/etc/resolv.conf"
    limit_protection "$work/$node"
    (
        while read -r group; do
            own=$group/${work##*/}-$node
            mkdir "$own"
            for file in cpus mems; do
                [ ! -f "$own/cpuset.$file" ] || cat "$group/cpuset.$file" >"$own/cpuset.$file"
            done
            [ ! -f "$own/cgroup.clone_children" ] || echo 1 >"$own/cgroup.clone_children"
            echo "$BASHPID" >"$own/cgroup.procs"
        done <"$work/groups"
        exec env SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 systemd-nspawn -q --register=no --keep-unit --link-journal=no \
            --resolv-conf=off --timezone=off --console=pipe --machine="$node" --directory="$work/$node" \
            --network-bridge=nodes --capability=all --system-call-filter='@keyring bpf' --bind=/dev/kmsg --boot
    ) </dev/null >"$console" 2>&1 &
    local nspawn=$! hierarchy
    # Its other children are there for a moment only.
    for _ in $(seq 100); do
        leader[$node]=$(pgrep -P "$nspawn" -x systemd || true)
        [ -z "${leader[$node]}" ] || break
        sleep 0.1
    done
    [ -n "${leader[$node]}" ] || die "$node did not start: $(cat "$console")"
    in_node "$node" ip link set host0 up
    in_node "$node" ip address add "${address[$node]}/24" dev host0
    in_node "$node" ip route add default via 10.77.0.1
    wait_for 60 "$node has booted" in_node "$node" sh -c \
        'case $(systemctl is-system-running) in running | degraded) ;; *) exit 1 ;; esac'
    # The kubelet makes groups of its own, and pods share mounts.
    for hierarchy in $(in_node "$node" awk '$3 == "cgroup" { print $2 }' /proc/mounts); do
        in_node "$node" mount -o remount,rw,bind "$hierarchy"
    done
    in_node "$node" mount --make-rshared /
}

qemu-img convert -O raw "$disk" "$work/disk.raw"
ip link set lo up
ip link add nodes type bridge
ip address add 10.77.0.1/24 dev nodes
ip link set nodes up
boot one
in_node one crictl images >"$out/images"

say "kubeadm init"
sed "s/ADDRESS/${address[one]}/" "$here/kubeadm.yml" >"$work/kubeadm.yml"
in_node one sh -c 'sed "s,REGISTRY,$(sed -n "s/^imageRepository: //p" /etc/kubeadm.yml)," >/root/kubeadm.yml' <"$work/kubeadm.yml"
in_node one kubeadm init --config /root/kubeadm.yml --ignore-preflight-errors=SystemVerification,Mem,NumCPU \
    >"$out/init" 2>&1 || die "kubeadm init failed: $(tail -n 20 "$out/init")"
say "kubeadm init has ended"

# A network for pods: a bridge on each node, and a route to the other one.
network() { # NODE SUBNET OTHER_SUBNET OTHER_ADDRESS
    in_node "$1" mkdir -p /etc/cni/net.d
    sed "s,SUBNET,$2," "$here/bridge.conflist" | in_node "$1" sh -c 'cat >/etc/cni/net.d/10-bridge.conflist'
    in_node "$1" ip route replace "$3" via "$4"
}
network one 10.244.0.0/24 10.244.1.0/24 "${address[two]}"
wait_for 120 "node one is Ready" kubectl wait --for=condition=Ready node/one --timeout=1s

boot two
network two 10.244.1.0/24 10.244.0.0/24 "${address[one]}"
join=$(in_node one kubeadm token create --print-join-command)
# shellcheck disable=SC2086
in_node two $join --ignore-preflight-errors=SystemVerification >"$out/join" 2>&1 ||
    die "kubeadm join failed: $(tail -n 20 "$out/join")"
wait_for 120 "node two is Ready" kubectl wait --for=condition=Ready node/two --timeout=1s

wait_for 120 "CoreDNS runs" kubectl -n kube-system rollout status deployment/coredns --timeout=1s
registry=$(in_node one sed -n 's/^imageRepository: //p' /etc/kubeadm.yml)
sed "s,REGISTRY,$registry," "$here/pods.yml" | kubectl apply -f - >"$out/apply"
for pod in server client; do
    wait_for 120 "pod $pod runs" kubectl wait --for=condition=Ready "pod/$pod" --timeout=1s
done
# From a pod on one node, through the service's name and address, to a pod on the other.
wait_for 60 "the service answers by name" \
    kubectl exec client -- busybox timeout 3 busybox wget -q -O - http://server.default.svc.cluster.local:8080/
cp "$work/last" "$out/answer"

kubectl get nodes -o wide >"$out/nodes"
kubectl get pods --all-namespaces -o wide >"$out/pods"
kubectl get --raw='/readyz?verbose' >"$out/readyz"
in_node two crictl images >"$out/images.two"
for node in one two; do in_node "$node" systemctl --failed --no-legend >"$out/$node.failed"; done
say "all is well"
