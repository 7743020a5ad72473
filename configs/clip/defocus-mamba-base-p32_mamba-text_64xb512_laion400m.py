_base_ = './defocus-mamba-base-p32_64xb512_laion400m.py'

# Ours: one architecture reads pictures and text.
model = dict(
    text_encoder=dict(_delete_=True, type='SequenceText', family='DefocusMamba', arch='small')
)
