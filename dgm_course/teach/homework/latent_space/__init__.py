"""Homework of the lecture on latent space models: the size of codes, the balance of the game, a look ahead.

Means and deviations are those of all numbers of a channel; squared errors are sums over the pixels and means
over the batch.
"""
