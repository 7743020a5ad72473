_base_ = [
    '../imagenet/defocus-mamba-large_32xb128_in21k-192px.py',
    '../_base_/strategies/fsdp.py',
]
