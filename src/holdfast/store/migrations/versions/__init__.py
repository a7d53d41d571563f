"""The steps, in order of their revision. A released step is never edited."""
