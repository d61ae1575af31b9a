"""Figures of merit, each a function of how much every image weighs: for intervals and slices alike."""
