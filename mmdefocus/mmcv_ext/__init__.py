"""What mmdet needs of mmcv's compiled operators, for an mmcv that was installed without them.

`import mmdefocus` registers `importer.py`, and nothing else of this folder is read until mmcv asks
for `mmcv._ext`.
"""
