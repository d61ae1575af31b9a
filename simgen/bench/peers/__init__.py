"""Other renderers on the reference scene, each in a process of its own, with whatever Python has its package.

The programs here import nothing of simgen but each other: their packages need not suit ours.
"""
