#!/bin/sh
# Puts the finished disk into a container image that KubeVirt boots: docker's BUILD_NAME-container-disk, and the same as a
# tar file beside the disk.
# Reads KUBEVIRT (anything but true: there is nothing to do), OUTPUT_DIRECTORY, ARTIFACT_NAME (the disk's file), BUILD_NAME.
set -eu

[ "${KUBEVIRT:-}" = true ] || exit 0
command -v docker >/dev/null || { echo "container-disk: docker is missing" >&2; exit 1; }

# KubeVirt reads the one file in /disk as the user 107.
docker build --tag "$BUILD_NAME-container-disk" --file - "$OUTPUT_DIRECTORY" <<END
FROM scratch
ADD --chown=107:107 $ARTIFACT_NAME /disk/
END
docker save --output "$OUTPUT_DIRECTORY/$ARTIFACT_NAME-container-disk.tar" "$BUILD_NAME-container-disk"
