"""Homework of the introduction: a likelihood, Bayes' rule, and a sample in two steps.

Three small formulas that every later lecture leans on.  Log-densities are sums over the coordinates of a
sample; a figure for a data set is the mean over its samples.
"""
