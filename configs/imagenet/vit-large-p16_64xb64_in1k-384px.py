# The paper quotes ViT-Large (85.2 in Table 1) and trains none: this is mmpretrain's configuration.
_base_ = 'mmpretrain::vision_transformer/vit-large-p16_64xb64_in1k-384px.py'

custom_imports = dict(
    imports=['mmdefocus.models', 'mmdefocus.engine', 'mmdefocus.datasets'],
    allow_failed_imports=False,
)
data_preparation = (
    'Put ImageNet-1K under data/imagenet as train/<wnid>/*.JPEG and val/<wnid>/*.JPEG; '
    'docs/data.md says where to get it.'
)
custom_hooks = [dict(type='NonFiniteLossHook'), dict(type='EpochSeedHook')]
randomness = dict(seed=0)
