"""Homework of the lecture on ELBO surgery: the aggregated posterior, the two halves of the KL, and priors that
are learned.

Deviations come as logarithms, ``log_std``, as networks give them.  log q(z_i | x_j) comes as a table, a draw a
row.
"""
