"""Where a model is weak and where its training data is thin."""
