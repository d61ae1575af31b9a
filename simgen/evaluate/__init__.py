"""How well models work on real images: loaders, metrics, results."""
