#!/usr/bin/env bash
# Tests on all processes of torchrun: tools/dist_test.sh CONFIG CKPT GPUS [arguments of test.py]
set -euo pipefail
exec bash "$(dirname "$0")/dist.sh" "$3" test.py "$1" "$2" --launcher pytorch "${@:4}"
