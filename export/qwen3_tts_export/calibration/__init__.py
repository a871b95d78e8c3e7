"""Round matrices to four bits so that what the checkpoint says changes least.

The checkpoint speaks texts of ten languages (`asking`, `speaking`), and what its layers read
meanwhile says which errors matter: each is rounded with its errors made up for (`compensated`),
one after the other (`layers`), and the code predictor, whose errors meet fifteen times a frame, is
tuned as a whole (`tuning`). `calibrating` puts it together: start there.
"""
