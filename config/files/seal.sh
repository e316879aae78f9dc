#!/bin/sh
# The last touches to a disk image, when Ansible has sealed it.
# Reads MACHINE_ID_MODE (file mode of /etc/machine-id) and OEM_ID (Flatcar's vendor mark); empty means leave it.
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
sync
