"""Tensors, checks, distributions, ODE solvers and metrics, for every other part of the package."""
