# How images come to a model. A data set adds its `dataset` and how many images are a batch.
train_loader = dict(
    num_workers=8,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
)
eval_loader = dict(train_loader, sampler=dict(type='DefaultSampler', shuffle=False))
