"""Where labels are: in the names of folders or files, or in tables; and which of several readings is taken."""
