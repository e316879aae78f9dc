# shellcheck shell=bash
# A node as the roles make it: the programs are scripts that print what the real ones print.
program() { # PATH: a script from the standard input
    mkdir -p "${1%/*}"
    { echo '#!/bin/sh'; cat; } >"$1"
    chmod 755 "$1"
}
package() { # NAME VERSION WANT [PROVIDES]
    printf 'Package: %s\nStatus: %s ok installed\nMaintainer: nobody\nArchitecture: amd64\nVersion: %s\nProvides: %s\nDescription: test\n\n' \
        "$1" "$3" "$2" "${4:-$1-provided}" >>/var/lib/dpkg/status
}

package jq 1.6-2.1 install
package curl 7.88.1-10+deb12u12 install
for name in kubelet kubeadm kubectl; do package $name 1.34.2-1.1 hold; done

program /usr/bin/kubelet <<'SH'
echo Kubernetes v1.34.2
SH
program /usr/bin/kubeadm <<'SH'
case $* in
    'version --output=short') echo v1.34.2 ;;
    'config images list --config /etc/kubeadm.yml') echo registry.k8s.io/kube-apiserver:v1.34.2; echo registry.k8s.io/pause:3.9 ;;
    *) exit 1 ;;
esac
SH
program /usr/bin/kubectl <<'SH'
printf 'clientVersion:\n  gitVersion: v1.34.2\n  major: "1"\n'
SH
program /usr/local/bin/containerd <<'SH'
case $* in
    --version) echo 'containerd github.com/containerd/containerd v1.7.20 8fc6bcff51318944179630522a095cc9dbf9f353' ;;
    'config dump') printf '[plugins."io.containerd.grpc.v1.cri"]\n    sandbox_image = "registry.k8s.io/pause:3.9"\n' ;;
    *) exit 1 ;;
esac
SH
program /usr/local/bin/ctr <<'SH'
[ "$*" = '--address /var/run/containerd/containerd.sock --namespace k8s.io images list -q' ] || exit 1
echo registry.k8s.io/kube-apiserver:v1.34.2
echo registry.k8s.io/pause:3.9
echo docker.io/library/busybox:1.36
SH
program /usr/local/bin/crictl <<'SH'
echo crictl version v1.34.0
SH
for name in bridge host-local loopback portmap; do
    program /opt/cni/bin/$name <<SH
echo CNI $name plugin v1.3.0 >&2
echo CNI protocol versions supported: 1.0.0 >&2
SH
done
program /usr/local/bin/hello <<'SH'
echo hello
SH
program /usr/local/bin/goss <<'SH'
[ "$1 $2 $3" = '--gossfile goss/goss.yaml --vars' ] && [ -f goss/goss.yaml ] && [ -f "$4" ] && [ "$5" = validate ] || exit 2
[ ! -e /etc/machine-is-broken ] || { echo 'File: /etc/motd: exists: Expected false to equal true'; exit 1; }
echo 'Count: 1, Failed: 0, Skipped: 0'
SH
printf 'runtime-endpoint: unix:///var/run/containerd/containerd.sock\nimage-endpoint: x\n' >/etc/crictl.yaml
printf 'apiVersion: kubeadm.k8s.io/v1beta4\nkubernetesVersion: v1.34.2\n' >/etc/kubeadm.yml
for name in containerd kubelet; do
    printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' \
        >/etc/systemd/system/$name.service
    systemctl --quiet enable $name
done
printf 'overlay\nbr_netfilter\n' >/etc/modules-load.d/kubernetes.conf
printf 'net.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.ip_forward = 1\n' >/etc/sysctl.d/99-kubernetes.conf
echo 'deb http://mirror.example.com/debian bookworm main' >/etc/apt/sources.list
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
