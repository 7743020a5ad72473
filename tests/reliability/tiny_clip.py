"""The same training of CLIP on 12 pairs in the shards `part-*.tar` of `data`."""

_base_ = './tiny_training.py'

context_length = 8

model = dict(
    _delete_=True,
    type='DefocusCLIP',
    data_preprocessor=dict(type='mmengine.ImgDataPreprocessor', mean=[127.5] * 3, std=[64.0] * 3),
    vision_backbone=dict(
        type='DefocusMamba', arch=_base_.arch, img_size=16, patch_size=8, drop_path_rate=0.3
    ),
    text_encoder=dict(
        type='OpenCLIPText', width=16, num_heads=2, depth=1, context_length=context_length
    ),
    embed_dims=8,
)
train_dataloader = dict(
    num_workers=1,
    sampler=dict(_delete_=True, type='ShardSampler', streams=2, window=3),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        _delete_=True,
        type='ImageTextShards',
        data_root='data',
        shards='part-{0000..0002}.tar',
        pipeline=[
            dict(type='DecodeImage'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='TokenizeCaption', context_length=context_length),
            dict(type='PackPair', with_sample=False),
        ],
    ),
)
