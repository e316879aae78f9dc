#!/bin/sh
# Makes a machine that has just been installed or started ready for Ansible.
# Reads PYTHON_PATH: where Python finds its modules on Flatcar; and PYPY_HTTP_SOURCE: a mirror of PyPy's downloads.
set -eu

# A cloud image is still setting itself up while ssh answers already: its package manager would be locked.
if command -v cloud-init >/dev/null 2>&1; then
    sudo cloud-init status --wait >/dev/null 2>&1 || true
fi

# Flatcar has no Python and a read-only /usr: a self-contained PyPy goes to /opt.
if grep -q '^ID=flatcar' /etc/os-release && [ ! -x /opt/bin/python ]; then
    pypy=pypy3.10-v7.3.17-$([ "$(uname -m)" = aarch64 ] && echo aarch64 || echo linux64)
    sudo mkdir -p /opt/bin
    curl -fsSL --retry 5 "${PYPY_HTTP_SOURCE:-https://downloads.python.org/pypy}/$pypy.tar.bz2" |
        sudo tar -xj -C /opt
    sudo ln -sfn "/opt/$pypy/bin/pypy3" /opt/bin/python
    sudo ln -sfn python /opt/bin/python3
    # Where the targets for Azure expect it.
    sudo ln -sfn "/opt/$pypy" /opt/pypy
    [ -e /opt/pypy/bin/pypy ] || sudo ln -s pypy3 /opt/pypy/bin/pypy
    sudo mkdir -p "${PYTHON_PATH:-/opt/bin/builder-env/site-packages}"
    sudo systemctl mask --now update-engine.service locksmithd.service
    /opt/bin/python --version
fi
