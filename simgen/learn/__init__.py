"""Learning from shards and real images: sources of samples, four small models, their training.

Nothing here imports PyTorch until a function that needs it is called; ``simgen.learn.need.torch()`` says what to
install.
"""
