# shellcheck shell=bash
# Sourced before builds of AMIs; leaves a mark.
touch "$PWD/ran-init-$1"
