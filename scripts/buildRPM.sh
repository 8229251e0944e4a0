#!/bin/sh
# Makes the RPM of nuage-libnetwork in the folder rpmbuild, under the name that the plugin's
# document has for this: 'make nuage-rpm'. The version is the environment's 'version'.
set -eu
cd "$(dirname "$0")/.."
exec make nuage-rpm NUAGE_RPMS=rpmbuild
