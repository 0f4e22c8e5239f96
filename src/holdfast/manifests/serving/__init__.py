"""What answers requests: pods, their images, files, rights, and how they come and go."""
