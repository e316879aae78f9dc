#!/bin/sh
# Removes what the build has left, and prints the name of everything that it removes or empties.
set -u

# empty FOLDER [NAME...]: what is in the folder, but for those names.
empty() {
    folder=$1
    shift
    [ -d "$folder" ] && [ ! -L "$folder" ] || return 0
    for name; do
        set -- "$@" ! -name "$name"
        shift
    done
    find "$folder" -mindepth 1 -maxdepth 1 "$@" -print -exec rm -rf -- {} +
}

# forget FOLDER NAME...: files of these names in the folder and below it.
forget() {
    folder=$1
    shift
    [ -d "$folder" ] || return 0
    for name; do
        find "$folder" -xdev -name "$name" ! -type d -print -exec rm -f -- {} +
    done
}

# What package managers can download again. apt wants its folders, and locks that others may hold stay.
empty /var/lib/apt/lists lock partial
empty /var/lib/apt/lists/partial
empty /var/cache/apt archives
empty /var/cache/apt/archives lock partial
empty /var/cache/apt/archives/partial
empty /var/cache/dnf
empty /var/cache/yum
empty /var/cache/tdnf
empty /var/cache/ldconfig
forget /var/cache/debconf '*-old'
forget /var/lib/dpkg '*-old'

# What was typed, and what programs noted of it.
for home in /root /home/*; do
    empty "$home/.cache"
    for name in .bash_history .python_history .lesshst .viminfo .wget-hsts; do
        [ ! -e "$home/$name" ] || { echo "$home/$name"; rm -f -- "$home/$name"; }
    done
done

# What was given to this machine alone.
forget /var/lib/dhcp '*.lease' '*.leases'
forget /var/lib/dhclient '*.lease' '*.leases'
forget /var/lib/NetworkManager '*.lease' '*.leases' secret_key
forget /var/lib/systemd random-seed credential.secret
forget /etc/udev/rules.d '70-persistent-*.rules'
for file in passwd- group- shadow- gshadow- subuid- subgid-; do
    [ ! -e "/etc/$file" ] || { echo "/etc/$file"; rm -f -- "/etc/$file"; }
done

# Folders that systemd has made for running services are in use, and so are Ansible's own and those of the login.
for folder in /tmp /var/tmp; do
    empty "$folder" 'systemd-private-*' 'ansible*' 'ssh-*' '.*-unix' 'packer*' 'script_*'
done

# Logs of the past go. From here on the journal is kept in memory, or it would begin a new file at once. Those of the present are emptied, since programs have them open and some do not make them again.
forget /var/log '*.gz' '*.xz' '*.zst' '*.[0-9]' '*.old' '*.journal' '*.journal~'
[ ! -d /run/systemd/system ] || journalctl --relinquish-var
empty /var/log/journal
find /var/log -type f -size +0 -print -exec truncate -s 0 -- {} +
