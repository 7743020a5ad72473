#!/usr/bin/env bash
# Tests, checks and times everything on a GPU in under 9 minutes; all results go into one folder:
#
#   bash tools/benchmark/gpu.sh OUT [CARRIED]
#
# A machine needs torch, pytest and rich; without timm there is no DeiT to compare with. CARRIED is a
# folder for what a machine without a network lacks:
#
#   pip download -d CARRIED --python-version 3.12 --only-binary :all: onedl-mmengine
#   pip download -d CARRIED --no-deps --no-binary :all: --no-build-isolation mamba-ssm==2.3.2.post1
#   pip download -d CARRIED --no-deps fla-core==0.6.0 flash-linear-attention==0.6.0
#
# The wheels are installed: mixers and models need MMEngine, and fla is a peer of retention, which
# needs einops and transformers. The scan of mamba_ssm is compiled from its
# sources for this GPU alone. With a network it is installed, for all GPUs and in far longer, by
#
#   MAMBA_FORCE_BUILD=TRUE MAMBA_KEEP_CUDA_BUILD=TRUE \
#       pip install --no-build-isolation mamba-ssm==2.3.2.post1
#
# DEVICE=cpu tries the commands at the smallest sizes. PYTHON names the interpreter.
set -uo pipefail
out=$(realpath -m "${1:?'usage: gpu.sh OUT [CARRIED]'}")
carried=${2:+$(realpath "$2")}
cd "$(dirname "$0")/../.."
python=${PYTHON:-python}
device=${DEVICE:-cuda}
tools=tools/benchmark
mkdir -p "$out"
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
export PYTHONPATH="$PWD:$built${PYTHONPATH:+:$PYTHONPATH}"
exec > >(tee "$out/gpu.log") 2>&1

if [ "$device" = cuda ]; then
    mark=gpu dtype=bfloat16 model=base repeats=10 budget=1
    runs=100 seed=1 check='4,197,256,16 1,4097,128,16'
    mixers='64,197,1536,16 2,4097,1536,16 256,197,1536,16'
    shapes="$mixers 64,197,2048,16 2,4097,2048,16"
    sides='224 1024' batches='64 4'
else
    mark='not gpu' dtype=float32 model=tiny repeats=1 budget=30
    runs=2 seed=1 check=1,9,64,4 shapes=1,9,64,4 mixers=1,9,64,4
    sides=32 batches=1
fi

total=530 # seconds
failed=0
# step NAME SECONDS COMMAND…: goes on after a failure, of which the exit status tells
step() {
    local name=$1 limit=$2 start=$SECONDS left=$((total - SECONDS)) status
    shift 2
    [ "$limit" -lt "$left" ] || limit=$left
    echo "== $name, at most $limit s: $*"
    [ "$limit" -gt 0 ] && timeout "$limit" "$@"
    status=$?
    [ "$status" = 0 ] || failed=1
    echo "== $name: status $status after $((SECONDS - start)) s"
}

[ "$device" = cpu ] || nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
"$python" -c 'import sys, torch; print("python", sys.version, "torch", torch.__version__)'
if compgen -G "$carried/*.whl" >/dev/null; then
    step install 60 "$python" -m pip install -q --no-index --find-links "$carried" onedl-mmengine
fi
if compgen -G "$carried/fla_core-*.whl" >/dev/null; then
    step install_fla 60 "$python" -m pip install -q --no-deps "$carried"/{fla_core,flash_linear}*.whl
fi
peer=
if "$python" -c 'import selective_scan_cuda' 2>/dev/null; then
    echo "== mamba_ssm: there already"
elif [ "$device" = cuda ] && compgen -G "$carried/mamba_ssm-*.tar.gz" >/dev/null; then
    # beside the tests, of which the times do not matter
    timeout 300 "$python" $tools/build_mamba_ssm.py "$carried"/mamba_ssm-*.tar.gz "$built" \
        >"$out/mamba_ssm.log" 2>&1 &
    peer=$!
fi
if "$python" -c 'import xdist' 2>/dev/null; then workers=(-n auto); else workers=(); fi
# the references go through one token after the other, so this goes on beside the tests, too
check() {
    timeout 240 "$python" $tools/correctness.py --device "$device" --shape $1 --runs $runs \
        --seed $seed --out "$out/correctness_$2" --op ${*:3} >"$out/correctness_$2.log" 2>&1 ||
        { tail -n 5 "$out/correctness_$2.log" && return 1; }
}
scans='selective_scan gated_selective_scan'
others='retention gated_group_rms_norm ms_deform_attn causal_conv1d decayed_attention apply_rotary
    bi_wkv rms_norm'
checks=()
for shape in $check; do
    length=$(cut -d, -f2 <<<"$shape")
    check "$shape" "scans_$length" $scans &
    checks+=($!)
    check "$shape" "others_$length" $others &
    checks+=($!)
done
step tests 230 "$python" -m pytest tests/ops -m "$mark" -p no:cacheprovider -q -rf --tb=short \
    "${workers[@]}"
for one in "${checks[@]}"; do wait "$one" || failed=1; done
echo "== correctness: ready after $SECONDS s"
if [ -n "$peer" ]; then
    wait "$peer" || { failed=1 && tail -n 20 "$out/mamba_ssm.log"; }
    echo "== mamba_ssm: ready after $SECONDS s"
fi
options=(--device "$device" --dtype $dtype --repeats $repeats --budget $budget --out "$out")
# the others are there to be read, and need a tensor (B, L, D, N) or a call for each token
backends='cpu triton mamba_ssm parallel chunkwise fused Conv1d mmcv'
step operators 80 "$python" $tools/ops.py "${options[@]}" --shape $shapes --backends $backends \
    --op $scans $others
step mixers 40 "$python" $tools/mixers.py "${options[@]}" --shape $mixers
step inner 40 "$python" $tools/mixers.py "${options[@]}" --shape $mixers --part inner
models=$(echo {defocus_mamba,defocus_retnet,defocus_vit,deit}_"$model")
sizes=(--resolutions $sides --batch-size $batches)
step models 100 "$python" $tools/throughput.py "${options[@]}" "${sizes[@]}" --models $models
if [ "$device" = cuda ]; then
    step graphs 70 "$python" $tools/throughput.py "${options[@]}" --out "$out/graphs" \
        "${sizes[@]}" --models $models --cuda-graph
    step compiled 100 "$python" $tools/throughput.py "${options[@]}" --out "$out/compiled" \
        --resolutions 224 --batch-size 64 --models {defocus_mamba,deit}_base --compile only
    # its autotuner takes minutes
    step fla 100 "$python" $tools/ops.py "${options[@]}" --out "$out/fla" --op retention \
        --shape $mixers --backends triton fla fla_fixed_decay
fi
echo "== all steps took $SECONDS s"
exit $failed
