#!/bin/sh
# Installs what builds and runs an image without a registry and without a service: Debian's packages.
set -eu

export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1

apt-get update -qq
apt-get install -y -qq --no-install-recommends buildah mmdebstrap podman runc
