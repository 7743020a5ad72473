# What two threads of one core train in about half an hour.
_base_ = './dino_defocus-mamba_36e_bccd.py'

work_dir = 'work_dirs/bccd/detector_60e'
max_epochs = 60

test_evaluator = dict(outfile_prefix=work_dir + '/predictions')
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
