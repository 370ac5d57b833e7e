"""How large a picture may be."""

MAX_PIXELS = 50_000_000
#: What 50 million pixels of four 16-bit channels take when nothing is compressed.
MAX_FILE_BYTES = 8 * MAX_PIXELS + 1_000_000
