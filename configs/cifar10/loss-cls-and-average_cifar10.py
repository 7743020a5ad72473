_base_ = './loss-average_cifar10.py'

model = dict(head=dict(type='ClsAndAverageClsHead'))
