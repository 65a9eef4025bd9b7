"""Homework of lecture 14: absorbing diffusion.

The slides' steps k = 1 ... T run from data to masks; ``survive`` is their alpha-bar, the probability that a
token is still visible.  The library's clock t runs the other way, t = 0 masks and t = 1 data, and on its
linear schedule alpha = t: there survive *is* the time, and so the chain can be asked of the library.  Tokens
are 0 ... K − 1, the mask is K; matrices are column-stochastic (column from, row to).
"""
