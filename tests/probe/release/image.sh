# shellcheck shell=bash
printf '#!/bin/sh\necho crictl version v1.36.0\n' >/usr/local/bin/crictl
printf '#!/bin/sh\necho runc version 1.4.2\necho spec: 1.2.0\n' >/usr/local/sbin/runc
chmod 755 /usr/local/bin/crictl /usr/local/sbin/runc
