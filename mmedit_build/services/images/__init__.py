"""Models that paint images, and those that say how well an image fits a text."""
