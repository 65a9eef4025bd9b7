"""Homework of the introductory lecture: generative adversarial networks.

Critics give logits unless an exercise says heights.  Means over a batch are asked wherever the lecture writes
an expectation, and where V has two expectations there are two means, added.
"""
