"""Running a trained network over many pictures, fast and in bounded memory."""
