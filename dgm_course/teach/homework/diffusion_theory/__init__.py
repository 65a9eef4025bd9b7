"""Homework of notebook 07, theory: four identities of the lecture, each written as a function and checked by
numbers.

The slides' clocks, as in `diffusion`: s = 0 data, s = 1 noise.
"""
