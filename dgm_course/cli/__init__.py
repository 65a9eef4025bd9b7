"""The command `dgm`."""
