# shellcheck shell=bash
echo 'Welcome to Debian' >/etc/motd
