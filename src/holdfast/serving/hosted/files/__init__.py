"""Where a model's files are, and which of them are needed: find, download, check. Loads nothing of PyTorch."""

from holdfast.serving.hosted.files.finding import find
from holdfast.serving.hosted.files.model_files import ModelFiles

__all__ = ["ModelFiles", "find"]
