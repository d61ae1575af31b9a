"""simgen: scene definitions in, labelled and replayable vision datasets out."""

__version__ = "0.1.0"
