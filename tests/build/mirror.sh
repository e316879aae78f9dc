#!/usr/bin/env bash
# A flat apt repository of packages, with all that a root filesystem lacks of what they need: mirror.sh ROOT OUT NAME…
set -euo pipefail
root=$1 out=$2
shift 2
mkdir -p "$out"
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state"/{lists,archives}/partial
options=(
    -o "Dir::State::status=$root/var/lib/dpkg/status" -o "Dir::State::lists=$state/lists"
    -o "Dir::Cache::archives=$state/archives" -o "Dir::State::extended_states=$state/extended"
    -o "Dir::Etc::sourcelist=$root/etc/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::Cache=$state"
    -o Acquire::Languages=none -o APT::Install-Recommends=false -o Debug::NoLocking=1
)
apt-get "${options[@]}" -qq update
apt-get "${options[@]}" -qq -y --download-only install "$@"
mv "$state"/archives/*.deb "$out"
cd "$out"
apt-ftparchive packages . >Packages
apt-ftparchive -o APT::FTPArchive::Release::Suite=./ -o APT::FTPArchive::Release::Codename=./ release . >Release.new
mv Release.new Release
