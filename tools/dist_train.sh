#!/usr/bin/env bash
# Trains on all processes of torchrun: tools/dist_train.sh CONFIG GPUS [arguments of train.py]
#
# Goes on from what is in the work directory, and is started again up to MAX_RESTARTS times (3)
# when a process fails or freezes; see env_cfg.dist_cfg.timeout.
set -euo pipefail

export MAX_RESTARTS=${MAX_RESTARTS:-3}
resume=(--resume)
for argument in "${@:3}"; do
    case $argument in
        --resume | --resume=* | --overwrite) resume=() ;;
    esac
done
exec bash "$(dirname "$0")/dist.sh" "$2" train.py "$1" --launcher pytorch "${resume[@]}" "${@:3}"
