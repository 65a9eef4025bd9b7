"""Homework of notebook 07: score-based models and diffusion.

The slides' clocks: s = 0 data, s = 1 noise; k = 0 data, k = 1 ... T the steps of the chain.  The library's
runs the other way, t = 1 − s.  abar is DDPM's alpha-bar, the square of the library's alpha on such a path.
"""
