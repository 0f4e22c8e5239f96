"""Nodes: who brings them, what they are, and how many there may be."""
