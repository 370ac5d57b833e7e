"""Why a recognizer answers as it does: attribution maps and nearest training pictures."""
