"""Are these files right? What a schema cannot say, checked before anything is applied."""
