# shellcheck shell=bash
# Breaks everything that a probe of the library can find.
sed -i '/^Package: jq$/,/^$/d' /var/lib/dpkg/status
sed -i 's/^Version: 7.88.1-10+deb12u12$/Version: 7.87.0-1/; s/^Status: hold ok installed$/Status: install ok installed/' /var/lib/dpkg/status
sed -i 's/v1.34.2/v1.34.1/' /usr/bin/kubelet /usr/bin/kubectl /etc/kubeadm.yml
sed -i 's/echo v1.34.2/echo v1.34.3/; s/kube-apiserver:v1.34.2/kube-apiserver:v1.34.3/' /usr/bin/kubeadm
sed -i 's/v1.7.20/v1.7.19~ds1/; s/pause:3.9/pause:3.6/' /usr/local/bin/containerd
sed -i "s/'config dump')/'config dump') echo 'containerd: invalid plugin config' >\&2; exit_code=1;/" /usr/local/bin/containerd
echo 'exit ${exit_code:-0}' >>/usr/local/bin/containerd
sed -i '/busybox/d' /usr/local/bin/ctr
sed -i 's/1.34.0/1.33.0/' /usr/local/bin/crictl
rm /opt/cni/bin/portmap /usr/local/bin/hello
sed -i 's/v1.3.0/v1.2.0/' /opt/cni/bin/bridge
echo 'runtime-endpoint: unix:///run/docker.sock' >/etc/crictl.yaml
systemctl --quiet disable kubelet
rm /etc/systemd/system/containerd.service
systemctl --quiet mask containerd
rm /etc/modules-load.d/kubernetes.conf /etc/sysctl.d/99-kubernetes.conf
: >/etc/apt/sources.list
echo 'deb http://mirror.invalid/debian bookworm main' >/etc/apt/sources.list.d/mirror.list
: >/etc/pip.conf
echo 'Acquire::http::Proxy "http://proxy.invalid:3128";' >/etc/apt/apt.conf.d/99-proxy
echo '/dev/vda2 none swap sw 0 0' >>/etc/fstab
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
echo key >/etc/ssh/ssh_host_rsa_key
echo 'builder:x:1000:1000::/home/builder:/bin/bash' >>/etc/passwd
: >/etc/machine-is-broken
