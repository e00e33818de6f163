#!/bin/sh
# Sees to Debian packages whose programs tests run for real: programs.sh PACKAGE...
# Where they can't be installed it says so and goes on: their tests are skipped, but in CI fail.
set -eu

missing=
for package; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests of real programs will be skipped where these are missing:$missing" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1

# What a package's scripts would start, policy-rc.d forbids; one that is there already stays as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
echo "installing$missing" >&2
apt-get update -qq
# shellcheck disable=SC2086 # words, on purpose
apt-get install -y -qq --no-install-recommends $missing >/dev/null
