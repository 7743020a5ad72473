# Where the files of ImageNet-1K are expected.
data_preparation = (
    'Put ImageNet-1K under data/imagenet as train/<wnid>/*.JPEG and val/<wnid>/*.JPEG; '
    'docs/data.md says where to get it.'
)
