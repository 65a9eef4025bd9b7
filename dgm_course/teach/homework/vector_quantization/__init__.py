"""Homework of the lectures on vector quantization: codes, gradients that step over them, and the bound.

Squared distances and log-likelihoods are sums over the coordinates of a sample; losses are means over the
batch.
"""
