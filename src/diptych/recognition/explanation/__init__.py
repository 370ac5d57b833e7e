"""Why a recognizer predicts what it does: attribution heatmaps and the nearest training pictures."""
