"""What the kinds of picture files mean, one module each; ``diptych.data.decode`` puts them together."""
