#!/bin/sh
# Lets Azure's agent remove what belongs to this machine alone, the user of the build included. It is the last step:
# nobody can log in afterwards.
set -eu

for agent in /usr/sbin/waagent /usr/bin/waagent /usr/share/oem/bin/waagent /usr/share/oem/python/bin/waagent; do
    if [ -x "$agent" ]; then
        sudo env HISTSIZE=0 "$agent" -force -deprovision+user
        sync
        exit 0
    fi
done
echo "This node has no Azure agent, so that its machines could not be configured by Azure." >&2
exit 1
