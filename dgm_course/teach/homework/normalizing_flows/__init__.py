"""Homework of lectures 5 and 14: normalizing flows, from one coupling layer to the trace of a continuous flow.

f goes towards the noise, z = f(x), and ladj = log |det ∂f/∂x| is its log-determinant, one number a sample.
"""
