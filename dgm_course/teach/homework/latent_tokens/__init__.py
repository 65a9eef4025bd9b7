"""Homework of the lecture on latent-space models, second half: models that write codes (LlamaGen, VAR)."""
