_base_ = [
    '../_base_/models/defocus_clip.py',
    '../_base_/datasets/laion400m_224.py',
    '../_base_/schedules/laion400m_32e.py',
]
