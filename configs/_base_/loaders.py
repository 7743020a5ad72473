# How images come to a model. A data set adds its `dataset` and how many images are a batch.
train_loader = dict(
    num_workers=8,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
)
eval_loader = dict(train_loader, sampler=dict(type='DefaultSampler', shuffle=False))

# Of pictures and captions.
pairs_train_loader = dict(train_loader, collate_fn=dict(type='default_collate'))

# Of small images: to hand them from a worker to the model takes longer than to read them.
mini_train_loader = dict(train_loader, num_workers=0)
mini_eval_loader = dict(eval_loader, num_workers=0)
