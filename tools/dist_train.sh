#!/usr/bin/env bash
# Trains on all processes of torchrun: tools/dist_train.sh CONFIG GPUS [arguments of train.py]
set -euo pipefail
exec bash "$(dirname "$0")/dist.sh" "$2" train.py "$1" --launcher pytorch "${@:3}"
