"""Foreign spellings and typed values: the only room that knows how the outside world writes things."""
