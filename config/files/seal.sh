#!/bin/sh
# The last touches to a disk image, when Ansible has sealed it.
# Reads MACHINE_ID_MODE (file mode of /etc/machine-id), OEM_ID (Flatcar's vendor mark) and REMOVE_NAMESERVER (true: forget
# the name servers of the build); empty means leave it.
set -eu

if [ -n "${MACHINE_ID_MODE:-}" ] && [ -f /etc/machine-id ]; then
    sudo chmod "$MACHINE_ID_MODE" /etc/machine-id
fi

if [ -n "${OEM_ID:-}" ] && grep -q '^ID=flatcar' /etc/os-release; then
    for oem in /oem /usr/share/oem; do
        if [ -d "$oem" ]; then
            printf 'set oem_id="%s"\n' "$OEM_ID" | sudo tee "$oem/grub.cfg" >/dev/null
            break
        fi
    done
fi

# Ubuntu's installer has told cloud-init to take data from these files alone, and the logs contain its answers.
sudo rm -f /etc/cloud/ds-identify.cfg /etc/cloud/cloud.cfg.d/99-installer.cfg \
    /etc/cloud/cloud.cfg.d/90-installer-network.cfg \
    /etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg
sudo rm -rf /var/log/installer

# cloud-init has let the build log in with a password. Without this file, the system's own setting holds again.
sudo rm -f /etc/ssh/sshd_config.d/50-cloud-init.conf

if [ "${REMOVE_NAMESERVER:-}" = true ] && [ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ]; then
    sudo sed -i '/^nameserver[[:space:]]/d' /etc/resolv.conf
fi
sync
