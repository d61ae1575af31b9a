"""Experiments: from nothing to a table that says what synthetic images are worth on real ones.

``definition`` is what a YAML file may say, ``plan`` what is to be rendered, trained and scored for it, ``run`` does it
and can be stopped at any time, ``results`` are the figures, ``report`` the page.
"""
