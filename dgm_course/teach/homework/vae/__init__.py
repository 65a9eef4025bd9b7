"""Homework of the lectures on VAEs: what the bound is made of, and two worlds where it is exact.

Deviations come as logarithms, ``log_std``, as networks give them.  Log-likelihoods and KLs are sums over the
coordinates of a sample; losses are means over the batch.
"""
