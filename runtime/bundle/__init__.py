"""A bundle or a run as files: what each says, and how it is read and written."""
