#!/usr/bin/env bash
# Checks and times the Triton backends on a GPU, in under 8 minutes:
#   bash tools/benchmark/gpu.sh [OUT]
# For the comparison with mamba_ssm build its CUDA scan before:
#   MAMBA_FORCE_BUILD=TRUE pip install --no-build-isolation mamba-ssm
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-work_dirs/benchmark}
python=${PYTHON:-python}

nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
timeout 180 "$python" -m pytest tests/ops -m gpu
timeout 300 "$python" tools/benchmark/gpu.py --repeats 10 --budget 3 --out "$out"
