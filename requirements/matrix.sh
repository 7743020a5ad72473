#!/usr/bin/env bash
# matrix.sh PYTHON …: the test suite on several versions of Python, with mmcv's operators and without.
# Each has an environment of its own, .venv-PYTHON-OPS. Prints a table at the end; exits with 1 where a
# test failed or an interpreter is missing.
set -uo pipefail
cd "$(dirname "$0")/.."
rows=() status=0
for python in "$@"; do
    if ! "$python" -c '' 2>/dev/null; then
        rows+=("$python  -  -  not installed") status=1
        continue
    fi
    for ops in 0 1; do
        venv=.venv-$(basename "$python")-$ops
        outcome='no environment'
        if make setup VENV="$venv" PYTHON="$python" MMCV_OPS=$ops; then
            output=$("$venv/bin/python" -m pytest 2>&1 | tee /dev/stderr) || status=1
            outcome=$(tail -n 1 <<<"$output")
        else
            status=1
        fi
        torch=$("$venv/bin/python" -c 'import torch; print(torch.__version__)' 2>/dev/null || echo -)
        rows+=("$python  $torch  $ops  $outcome")
    done
done
printf '\nPython  torch  MMCV_OPS  outcome\n'
printf '%s\n' "${rows[@]}"
exit $status
