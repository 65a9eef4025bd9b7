"""What every other room stands on: tensors, guards, distributions, ODE solvers, metrics."""
