"""The gallery: labelled pictures in an embedding database, matched by their nearest neighbours.

:class:`diptych.recognition.gallery.gallery.Gallery` is the class for people.
"""
