"""Container images of holdfast and of its model server."""
