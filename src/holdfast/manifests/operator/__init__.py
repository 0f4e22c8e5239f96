"""The operator's own objects."""
