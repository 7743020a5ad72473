_base_ = './clip_mini.py'

# the best of 3e-4, 5e-4 and 1e-3
optim_wrapper = dict(optimizer=dict(lr=5e-4))
