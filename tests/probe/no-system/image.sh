# shellcheck shell=bash
rm -r ./etc
