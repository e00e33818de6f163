#!/bin/sh
# Installs prometheus, promtool and prometheus-alertmanager from Debian's packages, and starts none of their services.
set -eu

export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1

# What a package's scripts would start, policy-rc.d forbids; one that is there already stays as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi

apt-get update -qq
apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager
