# shellcheck shell=bash
# For scripts that start a container.

# Puts this process into control groups of its own. systemd-nspawn takes the groups of the process that starts it: in groups
# that two containers share, the systemd of each ends the services of the other. Removes the groups of ended containers.
own_groups() {
    local controllers path folder name
    name=imgspec-$(</proc/sys/kernel/random/uuid)
    while IFS=: read -r _ controllers path; do
        case $controllers in
            name=systemd) folder=/sys/fs/cgroup/systemd ;;
            '')
                folder=/sys/fs/cgroup/unified
                [ -d "$folder" ] || folder=/sys/fs/cgroup
                ;;
            *) continue ;;
        esac
        folder=$folder${path%/}
        find "$folder"/imgspec-* -depth -type d -exec rmdir {} + 2>/dev/null || true
        # Another build can remove the new group while it is empty.
        for _ in 1 2 3; do
            mkdir -p "$folder/$name" 2>/dev/null || break
            echo "$BASHPID" 2>/dev/null >"$folder/$name/cgroup.procs" && break
        done
    done </proc/self/cgroup
}
