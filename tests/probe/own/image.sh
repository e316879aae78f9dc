echo 'Welcome to Debian' >/etc/motd
