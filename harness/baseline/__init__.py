"""Figures of earlier runs, kept to hold later ones against. Reads saved runs only."""
