"""Homework of the course overview: yardsticks for samples.

A point of a set owns the ball that reaches to its k-th nearest other point of the same set, edge included.
"""
