#!/usr/bin/env bash
# A Debian root filesystem that Ansible can work in, made once and kept in ROOTFS_CACHE: later builds with the same
# suite, source and packages begin where this one has ended. Leaves its path in ./root/base.
set -euo pipefail

say() { echo "rootfs: $*"; }
die() { echo "rootfs: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "making a root filesystem takes root; run this build as root"
for program in mmdebstrap mount unshare flock; do
    command -v "$program" >/dev/null || die "$program is missing (imgspec deps rootfs)"
done

# Where packages come from: what the spec says, else what this machine uses itself.
mkdir -p root
source_line=$ROOTFS_SOURCE
if [ -z "$source_line" ]; then
    source_line=$(apt-get indextargets --format '$(TARGET_OF) $(SITE) $(RELEASE) $(COMPONENT)' 2>/dev/null |
        awk -v suite="$ROOTFS_SUITE" '$1 == "deb" && $3 == suite { print "deb", $2, suite, "main"; exit }')
fi
# A mirror of this machine has other releases, too.
if [ -z "$source_line" ]; then
    for site in $(apt-get indextargets --format '$(TARGET_OF) $(COMPONENT) $(SITE)' 2>/dev/null |
        awk '$1 == "deb" && $2 == "main" { print $3 }' | sort -u); do
        if /usr/lib/apt/apt-helper download-file "$site/dists/$ROOTFS_SUITE/InRelease" root/release >/dev/null 2>&1; then
            source_line="deb $site $ROOTFS_SUITE main"
            say "apt's mirror $site has $ROOTFS_SUITE, too"
            break
        fi
    done
fi
[ -n "$source_line" ] || die "no source of $ROOTFS_SUITE packages is known: this machine's apt has none;" \
    "set rootfs_source = \"deb http://MIRROR $ROOTFS_SUITE main\""

# What systemd, ssh and Ansible need; the roles bring the rest.
packages=systemd-sysv,dbus,openssh-server,python3-minimal,python3-apt,sudo,ca-certificates,iproute2
[ -z "$ROOTFS_PACKAGES" ] || packages+=,$ROOTFS_PACKAGES

cache=$ROOTFS_CACHE/rootfs
key=$(printf '%s\n' "1 $ROOTFS_SUITE" "$source_line" "$packages" | sha256sum | cut -c1-16)
base=$cache/$ROOTFS_SUITE-$key
mkdir -p "$cache"
exec 9>"$base.lock"
flock 9
if [ ! -d "$base" ]; then
    say "making the base system $ROOTFS_SUITE (once, a few minutes)"
    rm -rf "$base.new"
    # What Packer leaves open would push mmdebstrap's own pipes beyond what `sh` can name.
    mmdebstrap --variant=minbase --mode=root --format=directory \
        --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io \
        --include="$packages" "$ROOTFS_SUITE" "$base.new" "$source_line" \
        3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    mv "$base.new" "$base"
else
    say "the base system is in the cache: $base"
fi
echo "$base" >root/base
