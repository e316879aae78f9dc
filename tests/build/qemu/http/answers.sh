#!/bin/sh
# What the installer is answered: the user that the build logs in as.
useradd --create-home --shell /bin/bash builder
echo builder:builder | chpasswd
echo 'builder ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/builder
