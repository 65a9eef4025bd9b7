"""Homework of the introductory lecture: autoregressive models, and the divergence that training makes small.

Nats, sums over the places of a sample, one number a sample; places are counted from 0 in the order of
generation, and the logits of place i predict place i, having seen the places before it.  Divergences compare
tables of probabilities.
"""
