#!/usr/bin/env bash
# What machine.sh runs inside of the machine.
set -uo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf
cd /proof || exit

say() { echo "proof: $SECONDS s: $*"; }
show() { # FILE COMMAND…
    echo "proof-file: $1"
    shift
    "$@" 2>&1
    echo proof-end
}
finish() {
    show failed systemctl --failed --no-legend
    sync
    systemctl poweroff --force --force
    exit
}
die() {
    say "$*"
    show journal journalctl --no-pager --unit kubelet --lines=60
    show described kubectl describe pods --all-namespaces
    finish
}
wait_for() { # SECONDS WHAT COMMAND…
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >last 2>&1; do
        [ $SECONDS -lt "$limit" ] || die "this did not come: $what; last: $(tail -n 3 last)"
        sleep 3
    done
    say "$what"
}

say "$(uname -r), $(stat -fc %T /sys/fs/cgroup)"
card=$(basename "$(find /sys/class/net -name 'e*' | head -n 1)")
ip link set "$card" up
ip address add 10.0.2.15/24 dev "$card"
ip route add default via 10.0.2.2
hostname one
echo 10.0.2.15 one >>/etc/hosts
echo nameserver 10.0.2.3 >/etc/resolv.conf
show modules lsmod
show sysctl sysctl net.bridge.bridge-nf-call-iptables net.ipv4.ip_forward
registry=$(sed -n 's/^imageRepository: //p' /etc/kubeadm.yml)
sed -i "s,REGISTRY,$registry,; s,ADDRESS,10.0.2.15," kubeadm.yml pods.yml
sed -i 's,nodeName: two,nodeName: one,' pods.yml
mkdir -p /etc/cni/net.d
sed 's,SUBNET,10.244.0.0/24,' bridge.conflist >/etc/cni/net.d/10-bridge.conflist

say "kubeadm init"
show init kubeadm init --config kubeadm.yml
[ -f "$KUBECONFIG" ] || die "kubeadm init failed"
wait_for 300 "the node is Ready" kubectl wait --for=condition=Ready node/one --timeout=1s
kubectl taint nodes one node-role.kubernetes.io/control-plane- >/dev/null
wait_for 400 "CoreDNS runs" kubectl -n kube-system rollout status deployment/coredns --timeout=1s
kubectl apply -f pods.yml >/dev/null
wait_for 300 "pod server runs" kubectl wait --for=condition=Ready pod/server --timeout=1s
wait_for 300 "pod client runs" kubectl wait --for=condition=Ready pod/client --timeout=1s
wait_for 120 "the service answers by name" \
    kubectl exec client -- busybox timeout 10 busybox wget -q -O - http://server.default.svc.cluster.local:8080/
show answer cat last
show nodes kubectl get nodes -o wide
show pods kubectl get pods --all-namespaces -o wide
echo "proof: all is well"
finish
