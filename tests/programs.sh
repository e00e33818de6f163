#!/bin/sh
# Debian packages whose programs tests run for real.
#
#   programs.sh PACKAGE...          installs those that are missing, after saying which
#   programs.sh --check PACKAGE...  only says which are missing: their tests are skipped, but in CI fail
set -eu

check=
[ "${1-}" != --check ] || { check=1; shift; }
missing=
for package; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ -n "$check" ]; then
    echo "not installed, so tests that need them are skipped:$missing (make programs installs them)" >&2
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "cannot be installed here, since that needs root and apt-get:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1

# What a package's scripts would start, policy-rc.d forbids; one that is there already stays as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
echo "installing the Debian packages$missing" >&2
apt-get update -qq
# shellcheck disable=SC2086 # words, on purpose
apt-get install -y -qq --no-install-recommends $missing >/dev/null
