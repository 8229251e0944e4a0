#!/bin/sh
# Makes the image of nuage-libnetwork, nuage-plugin.tar in the current folder, under the name
# that the plugin's document has for this: 'make nuage-image'. The tag is the environment's
# 'version'.
set -eu
here=$(pwd)
cd "$(dirname "$0")/.."
exec make nuage-image NUAGE_IMAGE="$here/nuage-plugin.tar"
