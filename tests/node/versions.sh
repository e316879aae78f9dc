# What the mirror has. kubeadm of this release wants these versions of etcd, CoreDNS and pause; the versions of the
# modules are in modules/.
# shellcheck shell=bash disable=SC2034
kubernetes=v1.34.2
etcd=3.6.5-0
coredns=v1.12.1
pause=3.10.1
containerd=2.2.9
crictl=v1.34.0
cni=v1.7.1
busybox=1.35.0
