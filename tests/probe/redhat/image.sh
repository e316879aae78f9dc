# shellcheck shell=bash
# rpm, which says what is installed.
cat >/usr/bin/rpm <<'SH'
#!/bin/sh
case $* in
    *nfs-utils | *audit | *kubelet-1.34.2 | *kubeadm-1.34.2 | *kubectl-1.34.2) exit 0 ;;
    '--query kubelet' | '--query kubeadm' | '--query kubectl') echo "$2-1.34.1-0.x86_64" ;;
    *) exit 1 ;;
esac
SH
chmod 755 /usr/bin/rpm
mkdir /etc/yum.repos.d
printf '[base]\nname=base\nenabled=0\n[extras]\nname=extras\nenabled = 0\n' >/etc/yum.repos.d/base.repo
printf '[mirror]\nname=mirror\n' >/etc/yum.repos.d/mirror.repo
rm /etc/apt/sources.list
