#!/bin/sh
# Tests the node with goss and leaves nothing behind. Tests and their values lie in /tmp/goss-upload.
# Reads GOSS_*: the goss_* variables, and what the tests compare with. In inspect mode nothing here fails the build.
set -eu

upload=/tmp/goss-upload
dir=${GOSS_REMOTE_PATH:-${GOSS_REMOTE_FOLDER:-/tmp}/goss}
bin=${GOSS_DOWNLOAD_PATH:-/tmp/goss-$GOSS_VERSION-linux-$GOSS_ARCH}
url=${GOSS_URL:-https://github.com/goss-org/goss/releases/download/v$GOSS_VERSION/goss-linux-$GOSS_ARCH}

cleanup() {
    sudo rm -rf "$upload" "$dir"
    [ "$GOSS_SKIP_INSTALL" = true ] || sudo rm -f "$bin"
}
trap cleanup EXIT

give_up() {
    echo "goss: $1"
    [ "$GOSS_INSPECT_MODE" = true ] && exit 0
    exit 1
}

if [ "$GOSS_SKIP_INSTALL" = true ]; then
    bin=$(command -v goss || { [ -x "$bin" ] && echo "$bin"; }) || give_up "not on the node, and goss_skip_install is set"
else
    curl -fsSL --retry 3 --connect-timeout 15 -o "$bin" "$url" || give_up "cannot download $url"
    chmod 0755 "$bin"
fi

sudo rm -rf "$dir"
sudo mkdir -p "$dir"
sudo cp -r "$upload/." "$dir/"

os=$(. /etc/os-release && echo "$ID")
values=$(printf '{"OS":"%s","PROVIDER":"%s","kubernetes_version":"%s","containerd_version":"%s","cni_version":"%s","kubernetes_source_type":"%s","cni_source_type":"%s"}' \
    "$os" "$GOSS_PROVIDER" "${GOSS_KUBERNETES_VERSION#v}" "$GOSS_CONTAINERD_VERSION" "${GOSS_CNI_VERSION#v}" \
    "$GOSS_KUBERNETES_SOURCE_TYPE" "$GOSS_CNI_SOURCE_TYPE")

status=0
(
    cd "$dir"
    set -- --gossfile "$GOSS_ENTRY_FILE" --vars vars.yaml --vars-inline "$values" validate --format "$GOSS_FORMAT"
    [ -z "$GOSS_FORMAT_OPTIONS" ] || set -- "$@" --format-options "$GOSS_FORMAT_OPTIONS"
    sudo "$bin" "$@"
) || status=$?
[ "$status" = 0 ] || give_up "the node fails its tests (exit status $status)"
