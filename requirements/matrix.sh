#!/usr/bin/env bash
# matrix.sh PYTHON[:TORCH] …: the test suite on several versions of Python and of torch, with mmcv's
# operators and without. Without a version of torch it is the pinned one. Each has an environment of
# its own, .venv-PYTHON-TORCH-OPS. Prints a table at the end; exits with 1 where a test failed or an
# interpreter is missing. MMCV_OPS=0 or 1 leaves out the other; TESTS names tests, where not all are
# wanted.
set -uo pipefail
cd "$(dirname "$0")/.."
pinned=requirements/constraints.txt
rows=() status=0
for entry in "$@"; do
    IFS=: read -r python torch <<<"$entry"
    if ! "$python" -c '' 2>/dev/null; then
        rows+=("$python  -  -  not installed") status=1
        continue
    fi
    for ops in ${MMCV_OPS:-0 1}; do
        venv=.venv-$(basename "$python")-${torch:-pinned}-$ops constraints=$pinned
        if [[ $torch ]]; then
            constraints=$venv/constraints.txt
            mkdir -p "$venv"
            [[ $constraints -nt $pinned ]] || {
                sed -E '/^(torch|torchvision|triton|sympy)==/d' $pinned
                echo "torch==$torch"
            } >"$constraints"
        fi
        outcome='no environment'
        if make setup VENV="$venv" PYTHON="$python" MMCV_OPS="$ops" CONSTRAINTS="$constraints"; then
            # shellcheck disable=SC2086  # several tests
            output=$("$venv/bin/python" -m pytest ${TESTS-} 2>&1 | tee /dev/stderr) || status=1
            outcome=$(tail -n 1 <<<"$output")
        else
            status=1
        fi
        found=$("$venv/bin/python" -c 'import torch; print(torch.__version__)' 2>/dev/null || echo -)
        rows+=("$python  $found  $ops  $outcome")
    done
done
printf '\nPython  torch  MMCV_OPS  outcome\n'
printf '%s\n' "${rows[@]}"
exit $status
