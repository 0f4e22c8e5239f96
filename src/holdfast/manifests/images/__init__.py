"""Container images of holdfast and of its model server.

build    Dockerfiles as a person writes them, the same for every plan; a folder of this package
tree     which of them a plan needs
"""
