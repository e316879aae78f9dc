#!/usr/bin/env bash
# Builds Kubernetes and what a node needs beside it from Go modules, and lays it out as its publishers do:
# tests/node/mirror.sh OUT STATUS. What is there stays. STATUS is the status file of dpkg in the system that nodes are made
# of. Without it, only the programs are built.
#
#     OUT/release/VERSION/bin/linux/amd64/   programs, and archives of images, as in dl.k8s.io
#     OUT/cni/VERSION/, OUT/crictl/VERSION/, OUT/containerd/vVERSION/   as in the releases of these projects
#     OUT/deb/                               a signed repository of packages, as in pkgs.k8s.io, and its key Release.key
#     OUT/debian/                            the packages of Debian that a node needs, with what they need
#     OUT/images/                            an archive of each image that kubeadm names, and of busybox
#
# Beside each file for download is its checksum.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/node/versions.sh
. "$here/versions.sh"
out=$(mkdir -p "$1" && cd "$1" && pwd)
work=$out.work
arch=amd64
mkdir -p "$work/bin"
export GOFLAGS=-mod=readonly CGO_ENABLED=0 PATH=${IMGSPEC_TOOLS:-$here/../../target/tools}/go/bin:$PATH

say() { printf 'mirror: %4d s: %s\n' "$SECONDS" "$*"; }

# build MODULE NAME PACKAGE [LINKER FLAGS]
build() {
    [ -x "$work/bin/$2" ] && return
    say "building $2"
    (cd "$here/modules/$1" && go build -trimpath -ldflags "-s -w ${4:-}" -o "$work/bin/$2" "$3")
}

# The sources of a module: module_folder MODULE PATH
module_folder() { (cd "$here/modules/$1" && go list -m -f '{{.Dir}}' "$2"); }

# The checksum beside a file: publish FILE SUFFIX
publish() { (cd "$(dirname "$1")" && sha256sum "$(basename "$1")" | cut -d' ' -f1 >"$1.$2"); }

build_programs() {
    local series=${kubernetes%.*} flags program plugin
    flags="-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitTreeState=clean"
    flags+=" -X k8s.io/component-base/version.gitMajor=${series%.*} -X k8s.io/component-base/version.gitMinor=${series#*.}"
    for program in kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
        build kubernetes "$program" "k8s.io/kubernetes/cmd/$program" "${flags//=v1 /=1 }"
    done
    build cri-tools crictl sigs.k8s.io/cri-tools/cmd/crictl "-X sigs.k8s.io/cri-tools/pkg/version.Version=$crictl"
    for plugin in main/bridge main/loopback main/ptp ipam/host-local meta/firewall meta/portmap; do
        build cni "cni-${plugin#*/}" "github.com/containernetworking/plugins/plugins/$plugin" \
            "-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=$cni"
    done
    build etcd etcd go.etcd.io/etcd/server/v3
    for program in containerd containerd-shim-runc-v2 ctr; do
        build containerd "$program" "github.com/containerd/containerd/v2/cmd/$program" \
            "-X github.com/containerd/containerd/v2/version.Version=v$containerd"
    done
    build coredns coredns github.com/coredns/coredns
    if [ ! -x "$work/bin/mirror" ]; then
        say "building mirror"
        (cd "$here/mirror" && go build -o "$work/bin/mirror" .)
    fi
    if [ ! -x "$work/bin/pause" ]; then
        say "building pause"
        cc -static -Os -DVERSION="$pause" -o "$work/bin/pause" \
            "$(module_folder kubernetes k8s.io/kubernetes)/build/pause/linux/pause.c"
    fi
}

# image NAME:TAG PROGRAM [PACKAGE…]: an archive of an image with a program, and with packages of Debian.
image() {
    local reference=$1 program=$2 file=$out/images/${1/:/_}.tar folder=$work/image
    shift 2
    [ -f "$file" ] && return
    say "image $reference"
    rm -rf "$folder" && mkdir -p "$folder/usr/local/bin" "$out/images"
    [ $# = 0 ] || debian_files "$folder" "$@"
    [ ! -x "$work/bin/$program" ] || cp "$work/bin/$program" "$folder/usr/local/bin/"
    "$work/bin/mirror" image "registry.k8s.io/$reference" "$file.new" "$folder" "$program"
    mv "$file.new" "$file"
    rm -rf "$folder"
}

# The files of packages and of what they need, in a folder.
debian_files() {
    local folder=$1 packages=$work/packages
    shift
    rm -rf "$packages"
    download "$packages" "" "$@"
    for package in "$packages"/*.deb; do dpkg-deb --extract "$package" "$folder"; done
    rm -rf "$packages" "${folder:?}"/usr/share/{doc,man,locale}
    # What the scripts of the package iptables would do.
    if [ -e "$folder/usr/sbin/xtables-nft-multi" ]; then
        for package in ip{,6}tables{,-save,-restore}; do ln -s xtables-nft-multi "$folder/usr/sbin/$package"; done
    fi
}

# download FOLDER STATUS PACKAGE…: packages of Debian with all that a system lacks, whose dpkg has that status.
download() {
    local folder=$1 status=$2 state=$work/apt options
    shift 2
    rm -rf "$state" && mkdir -p "$folder" "$state"/{lists,archives}/partial
    [ -n "$status" ] || { status=$state/status && : >"$status"; }
    apt-get indextargets --format 'deb [trusted=yes] $(SITE) $(RELEASE) main' |
        grep -E ' bookworm(-updates|-security)? main$' | sort -u >"$state/sources.list"
    options=(
        -o "Dir::State=$state" -o "Dir::State::status=$status" -o "Dir::State::lists=$state/lists"
        -o "Dir::Cache=$state" -o "Dir::Cache::archives=$state/archives"
        -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- -o Acquire::Languages=none
        -o APT::Install-Recommends=false -o Debug::NoLocking=1 -o APT::Sandbox::User=root
    )
    apt-get "${options[@]}" -qq update
    apt-get "${options[@]}" -qq -y --download-only install "$@" >/dev/null
    mv "$state"/archives/*.deb "$folder"
}

lay_out_release() {
    local folder=$out/release/$kubernetes/bin/linux/$arch program
    [ -f "$folder/done" ] && return
    say "release of Kubernetes"
    mkdir -p "$folder"
    for program in kubeadm kubelet kubectl; do
        cp "$work/bin/$program" "$folder/"
        publish "$folder/$program" sha256
    done
    for program in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
        ln -f "$out/images/${program}_$kubernetes.tar" "$folder/$program.tar"
        publish "$folder/$program.tar" sha256
    done
    touch "$folder/done"
}

# archive FILE SUFFIX FOLDER: packs a folder, which is removed.
archive() {
    mkdir -p "$(dirname "$1")"
    (cd "$3" && tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -czf "$1.new" -- *)
    mv "$1.new" "$1"
    publish "$1" "$2"
    rm -rf "$3"
}

lay_out_archives() {
    local folder=$work/archive file program
    file=$out/cni/$cni/cni-plugins-linux-$arch-$cni.tgz
    if [ ! -f "$file.sha256" ]; then
        rm -rf "$folder" && mkdir -p "$folder"
        for program in "$work"/bin/cni-*; do cp "$program" "$folder/${program##*/cni-}"; done
        archive "$file" sha256 "$folder"
    fi
    file=$out/crictl/$crictl/crictl-$crictl-linux-$arch.tar.gz
    if [ ! -f "$file.sha256" ]; then
        mkdir -p "$folder" && cp "$work/bin/crictl" "$folder/"
        archive "$file" sha256 "$folder"
    fi
    file=$out/containerd/v$containerd/containerd-$containerd-linux-$arch.tar.gz
    if [ ! -f "$file.sha256sum" ]; then
        mkdir -p "$folder/bin" && cp "$work"/bin/{containerd,containerd-shim-runc-v2,ctr} "$folder/bin/"
        archive "$file" sha256sum "$folder"
        cp "$(module_folder containerd github.com/containerd/containerd/v2)/containerd.service" "$out/containerd/v$containerd/"
    fi
    printf '#!/bin/sh\necho hello\n' >"$out/hello"
}

# deb NAME VERSION DEPENDS FOLDER: a package of the files of a folder, which is removed.
deb() {
    say "package $1"
    mkdir -p "$4/DEBIAN"
    printf '%s\n' "Package: $1" "Version: $2" "Architecture: $arch" "Maintainer: none <none@example.com>" \
        "Section: admin" "Priority: optional" "Depends: $3" "Description: $1 for tests" >"$4/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone --build "$4" "$out/deb/" >/dev/null
    rm -rf "$4"
}

# As pkgs.k8s.io has them: the same dependencies, paths and units.
lay_out_packages() {
    local folder=$work/deb version=${kubernetes#v}-1.1 program
    [ -f "$out/deb/InRelease" ] && return
    rm -rf "$out/deb" && mkdir -p "$out/deb"
    for program in kubeadm kubelet kubectl; do
        mkdir -p "$folder/$program/usr/bin" && cp "$work/bin/$program" "$folder/$program/usr/bin/"
    done
    mkdir -p "$folder/kubelet/usr/lib/systemd/system" "$folder/kubelet/etc/kubernetes/manifests"
    cp "$here/packages/kubelet.service" "$folder/kubelet/usr/lib/systemd/system/"
    mkdir -p "$folder/kubeadm/usr/lib/systemd/system/kubelet.service.d"
    cp "$here/packages/10-kubeadm.conf" "$folder/kubeadm/usr/lib/systemd/system/kubelet.service.d/"
    mkdir -p "$folder/cri-tools/usr/bin" && cp "$work/bin/crictl" "$folder/cri-tools/usr/bin/"
    mkdir -p "$folder/cni/opt/cni/bin"
    for program in "$work"/bin/cni-*; do cp "$program" "$folder/cni/opt/cni/bin/${program##*/cni-}"; done
    deb kubelet "$version" \
        'iptables (>= 1.4.21), kubernetes-cni (>= 1.2.0), iproute2, mount, util-linux, conntrack, ebtables, ethtool, socat' \
        "$folder/kubelet"
    deb kubeadm "$version" 'cri-tools (>= 1.30.0)' "$folder/kubeadm"
    deb kubectl "$version" 'base-files' "$folder/kubectl"
    deb cri-tools "${crictl#v}-1.1" 'base-files' "$folder/cri-tools"
    deb kubernetes-cni "${cni#v}-1.1" 'base-files' "$folder/cni"
    (
        export GNUPGHOME=$work/gnupg
        rm -rf "$GNUPGHOME" && mkdir -m 700 "$GNUPGHOME"
        gpg --batch --quiet --passphrase '' --quick-generate-key 'tests <none@example.com>' ed25519 sign 2>/dev/null
        cd "$out/deb"
        apt-ftparchive packages . >Packages
        apt-ftparchive -o APT::FTPArchive::Release::Suite=./ release . >../Release.new && mv ../Release.new Release
        gpg --batch --quiet --armor --export >Release.key
        gpg --batch --quiet --clear-sign --output InRelease Release
        gpgconf --kill all
    )
}

# What the roles install from Debian, for a node without other repositories: lay_out_debian STATUS
lay_out_debian() {
    [ -f "$out/debian/Release" ] && return
    say "packages of Debian"
    rm -rf "$out/debian"
    download "$out/debian" "$1" containerd runc conntrack ebtables ethtool iptables socat jq linux-image-cloud-amd64
    (
        cd "$out/debian"
        apt-ftparchive packages . >Packages
        apt-ftparchive -o APT::FTPArchive::Release::Suite=./ release . >../Release.new && mv ../Release.new Release
    )
}

build_programs
[ $# -gt 1 ] || exit 0
for program in kube-apiserver kube-controller-manager kube-scheduler; do image "$program:$kubernetes" "$program"; done
image "kube-proxy:$kubernetes" kube-proxy iptables nftables conntrack
image "etcd:$etcd" etcd
image "coredns:$coredns" coredns
image "pause:$pause" pause
image "busybox:$busybox" busybox busybox
lay_out_release
lay_out_archives
lay_out_packages
lay_out_debian "$2"
say "ready: $(du -sh "$out" | cut -f1)"
