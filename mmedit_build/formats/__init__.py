"""Edits as MMEdit, VLKEB, CCKEB, FGVEdit and ADS-Edit release them, read into rows of one kind."""
