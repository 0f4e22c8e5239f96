"""What a model is served for. The values are the names that Hugging Face uses, and fleet documents with it."""

from __future__ import annotations

import enum


class Task(enum.Enum):
    TEXT_GENERATION = "text-generation"
    TEXT_CLASSIFICATION = "text-classification"
    EMBEDDINGS = "feature-extraction"
    IMAGE_CLASSIFICATION = "image-classification"
    OBJECT_DETECTION = "object-detection"
    TEXT_TO_IMAGE = "text-to-image"
