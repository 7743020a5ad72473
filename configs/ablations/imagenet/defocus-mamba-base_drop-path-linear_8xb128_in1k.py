# The rate rises from 0.1 to 0.7 in the recipe of Table 5.
_base_ = '../../imagenet/defocus-mamba-base_8xb128_in1k.py'
