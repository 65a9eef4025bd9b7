"""Homework of lecture 14: flow matching.

The library's clock: t = 0 noise, t = 1 data, x_t = alpha x1 + sigma x0.  The slides on diffusion count s = 1 −
t.
"""
